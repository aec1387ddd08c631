//! Frame of the page, lists, sign-in, notices.

texts! {
    /// Texts of the frame around every page, of lists and of the sign-in.
    Site {
        sign_in: "Sign in", "Anmelden", "Se connecter", "Entrar";
        sign_out: "Sign out", "Abmelden", "Se déconnecter", "Salir";
        login: "Login", "Anmeldename", "Identifiant", "Usuario";
        password: "Password", "Passwort", "Mot de passe", "Contraseña";
        wrong: "Login or password is wrong.", "Anmeldename oder Passwort ist falsch.", "Identifiant ou mot de passe incorrect.", "El usuario o la contraseña no es correcto.";
        wait: "Too many wrong passwords: try again in {} seconds.", "Zu viele falsche Passwörter: in {} Sekunden noch einmal versuchen.", "Trop de mots de passe erronés : réessayez dans {} secondes.", "Demasiadas contraseñas erróneas: inténtelo de nuevo en {} segundos.";
        unavailable: "The mail server that knows your password gives no answer at the moment. Try again later.", "Der Mailserver, der Ihr Passwort kennt, antwortet im Moment nicht. Bitte später noch einmal versuchen.", "Le serveur de messagerie qui connaît votre mot de passe ne répond pas en ce moment. Réessayez plus tard.", "El servidor de correo que conoce su contraseña no responde en este momento. Inténtelo más tarde.";
        expired: "You were signed out. Sign in again.", "Sie wurden abgemeldet. Bitte neu anmelden.", "Vous avez été déconnecté. Reconnectez-vous.", "Se cerró la sesión. Entre de nuevo.";
        foreign: "This form did not come from this page, or is too old. Nothing was done: go back, load the page again, and try once more.", "Dieses Formular kam nicht von dieser Seite oder ist zu alt. Es wurde nichts getan: gehen Sie zurück, laden Sie die Seite neu und versuchen Sie es noch einmal.", "Ce formulaire ne vient pas de cette page, ou il est trop ancien. Rien n'a été fait : revenez en arrière, rechargez la page et réessayez.", "Este formulario no viene de esta página o es demasiado antiguo. No se hizo nada: vuelva atrás, recargue la página e inténtelo de nuevo.";
        skip: "Skip to the content", "Zum Inhalt springen", "Aller au contenu", "Saltar al contenido";
        folders: "Folders", "Ordner", "Dossiers", "Carpetas";
        search: "Search", "Suchen", "Rechercher", "Buscar";
        search_hint: "from:… to:… subject:… score>5 before:2026-01-31", "from:… to:… subject:… score>5 before:2026-01-31", "from:… to:… subject:… score>5 before:2026-01-31", "from:… to:… subject:… score>5 before:2026-01-31";
        clear: "Clear", "Leeren", "Effacer", "Limpiar";
        select: "Select {}", "{} auswählen", "Sélectionner {}", "Seleccionar {}";
        select_all: "Select all on this page", "Alle auf dieser Seite auswählen", "Tout sélectionner sur cette page", "Seleccionar todo en esta página";
        whole: "All {} messages of this list", "Alle {} Nachrichten dieser Liste", "Les {} messages de cette liste", "Los {} mensajes de esta lista";
        whole_found: "All messages that this search finds", "Alle Nachrichten, die diese Suche findet", "Tous les messages trouvés par cette recherche", "Todos los mensajes que encuentra esta búsqueda";
        selected: "{} selected", "{} ausgewählt", "{} sélectionnés", "{} seleccionados";
        actions: "Actions", "Aktionen", "Actions", "Acciones";
        older: "Older", "Älter", "Plus anciens", "Más antiguos";
        newest: "Newest", "Neueste", "Plus récents", "Más recientes";
        empty: "Nothing here. Mail that the filter rejects will show up by itself.", "Hier ist nichts. Was der Filter abweist, erscheint von selbst.", "Rien ici. Le courrier rejeté par le filtre apparaîtra tout seul.", "No hay nada. El correo que rechace el filtro aparecerá solo.";
        nothing_found: "Nothing was found.", "Nichts gefunden.", "Rien n'a été trouvé.", "No se encontró nada.";
        broken_off: "The search took long and was paused here: older messages were not looked at.", "Die Suche dauerte lange und hielt hier an: ältere Nachrichten wurden nicht angesehen.", "La recherche était longue et s'est arrêtée ici : les messages plus anciens n'ont pas été examinés.", "La búsqueda tardaba y se detuvo aquí: no se miraron los mensajes más antiguos.";
        go_on: "Search on", "Weiter suchen", "Poursuivre la recherche", "Seguir buscando";
        bad_search: "The search was not understood: {}", "Die Suche wurde nicht verstanden: {}", "La recherche n'a pas été comprise : {}", "No se entendió la búsqueda: {}";
        never: "never", "nie", "jamais", "nunca";
        unread: "unread", "ungelesen", "non lu", "no leído";
        failed: "delivery failed", "Zustellung gescheitert", "livraison échouée", "entrega fallida";
        pending: "under way", "unterwegs", "en cours", "en curso";
        released: "released", "zugestellt", "libéré", "liberado";
        new_mail: "New mail has come in.", "Neue Post ist da.", "Du nouveau courrier est arrivé.", "Ha llegado correo nuevo.";
        show: "Show", "Anzeigen", "Afficher", "Mostrar";
        none_selected: "Select a message first.", "Wählen Sie zuerst eine Nachricht aus.", "Sélectionnez d'abord un message.", "Seleccione primero un mensaje.";
        did_release: "{} messages are delivered in a few seconds.", "{} Nachrichten werden in einigen Sekunden zugestellt.", "{} messages sont livrés dans quelques secondes.", "{} mensajes se entregan en unos segundos.";
        did_release_train: "{} messages are delivered in a few seconds, and the filter learns from them.", "{} Nachrichten werden in einigen Sekunden zugestellt, und der Filter lernt daraus.", "{} messages sont livrés dans quelques secondes, et le filtre en tire une leçon.", "{} mensajes se entregan en unos segundos y el filtro aprende de ellos.";
        did_not_spam: "{} messages are reported as not spam.", "{} Nachrichten werden als kein Spam gemeldet.", "{} messages sont signalés comme légitimes.", "{} mensajes se notifican como legítimos.";
        did_spam: "{} messages are reported as spam.", "{} Nachrichten werden als Spam gemeldet.", "{} messages sont signalés comme spam.", "{} mensajes se notifican como spam.";
        did_delete: "{} messages were moved to Trash.", "{} Nachrichten liegen im Papierkorb.", "{} messages ont été mis à la corbeille.", "{} mensajes se movieron a la papelera.";
        did_remove: "{} messages were removed for good.", "{} Nachrichten wurden endgültig gelöscht.", "{} messages ont été supprimés définitivement.", "{} mensajes se eliminaron definitivamente.";
        did_restore: "{} messages are back.", "{} Nachrichten sind zurück.", "{} messages sont de retour.", "{} mensajes han vuelto.";
        did_undo: "{} messages were taken back.", "{} Nachrichten wurden zurückgeholt.", "{} messages ont été récupérés.", "{} mensajes se recuperaron.";
        too_late: "{} could not be taken back: delivery has begun.", "{} konnten nicht zurückgeholt werden: die Zustellung läuft.", "{} n'ont pas pu être récupérés : la livraison a commencé.", "{} no se pudieron recuperar: la entrega ha comenzado.";
        refused: "{} were left alone: {}", "{} blieben, wie sie waren: {}", "{} sont restés en place : {}", "{} se quedaron como estaban: {}";
        gone: "This message is not here any more: it was released, removed, or has expired.", "Diese Nachricht ist nicht mehr hier: sie wurde zugestellt, gelöscht oder ist abgelaufen.", "Ce message n'est plus ici : il a été libéré, supprimé, ou il a expiré.", "Este mensaje ya no está aquí: se liberó, se eliminó o caducó.";
        not_found: "There is no such page.", "Diese Seite gibt es nicht.", "Cette page n'existe pas.", "Esa página no existe.";
        trouble: "The server could not do that; its log says why. Nothing was lost.", "Der Server konnte das nicht tun; sein Protokoll sagt, warum. Nichts ging verloren.", "Le serveur n'a pas pu le faire ; son journal dit pourquoi. Rien n'est perdu.", "El servidor no pudo hacerlo; su registro dice por qué. No se perdió nada.";
        busy: "The server is busy. Try again in a moment.", "Der Server ist beschäftigt. Versuchen Sie es gleich noch einmal.", "Le serveur est occupé. Réessayez dans un instant.", "El servidor está ocupado. Inténtelo de nuevo en un momento.";
        working: "Working: {} of {}", "In Arbeit: {} von {}", "En cours : {} sur {}", "En curso: {} de {}";
        back: "Back to the list", "Zurück zur Liste", "Retour à la liste", "Volver a la lista";
        keys: "Keys", "Tasten", "Touches", "Teclas";
        keys_help: "j k: next, previous · x: select · Enter: open · r: Release · t: Release & Train · n: Not Spam · s: Spam · #: Delete · u: back · /: search · ?: this help", "j k: nächste, vorige · x: auswählen · Enter: öffnen · r: Zustellen · t: Zustellen & lernen · n: Kein Spam · s: Spam · #: Löschen · u: zurück · /: suchen · ?: diese Hilfe", "j k : suivant, précédent · x : sélectionner · Entrée : ouvrir · r : Libérer · t : Libérer et apprendre · n : Pas un spam · s : Spam · # : Supprimer · u : retour · / : rechercher · ? : cette aide", "j k: siguiente, anterior · x: seleccionar · Intro: abrir · r: Liberar · t: Liberar y aprender · n: No es spam · s: Spam · #: Eliminar · u: volver · /: buscar · ?: esta ayuda";
        restore: "Move back", "Zurücklegen", "Remettre", "Devolver";
        remove: "Delete for good", "Endgültig löschen", "Supprimer définitivement", "Eliminar definitivamente";
        times_utc: "Times are UTC.", "Zeiten in UTC.", "Heures en UTC.", "Horas en UTC.";
        message: "Message", "Nachricht", "Message", "Mensaje";
        spam_kind: "spam", "Spam", "spam", "spam";
        phish_kind: "phishing", "Phishing", "hameçonnage", "phishing";
        virus_kind: "virus", "Virus", "virus", "virus";
        banned_kind: "banned content", "verbotener Inhalt", "contenu interdit", "contenido prohibido";
        policy_kind: "policy", "Richtlinie", "règle", "norma";
    }
}
