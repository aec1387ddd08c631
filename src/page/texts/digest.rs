//! The digest, the pages behind its links, and its settings.

texts! {
    /// Texts of the digest and of what its links show.
    Digest {
        sender_name: "Mail quarantine", "E-Mail-Quarantäne", "Quarantaine du courrier", "Cuarentena de correo";
        one: "1 message was kept for you", "1 Nachricht wurde für Sie zurückgehalten", "1 message a été retenu pour vous", "1 mensaje fue retenido para usted";
        many: "{} messages were kept for you", "{} Nachrichten wurden für Sie zurückgehalten", "{} messages ont été retenus pour vous", "{} mensajes fueron retenidos para usted";
        one_of: "1 message was kept for {}", "1 Nachricht wurde für {} zurückgehalten", "1 message a été retenu pour {}", "1 mensaje fue retenido para {}";
        many_of: "{} messages were kept for {}", "{} Nachrichten wurden für {} zurückgehalten", "{} messages ont été retenus pour {}", "{} mensajes fueron retenidos para {}";
        intro: "The filter took these for unwanted mail. They have not been delivered, and go by themselves when their time is over. If one is wanted, choose Release.", "Der Filter hielt diese für unerwünschte Post. Sie wurden nicht zugestellt und verschwinden von selbst, wenn ihre Zeit um ist. Ist eine davon erwünscht, wählen Sie Zustellen.", "Le filtre a pris ces messages pour du courrier indésirable. Ils n'ont pas été livrés et disparaîtront d'eux-mêmes à leur échéance. Si l'un d'eux est attendu, choisissez Libérer.", "El filtro tomó estos mensajes por correo no deseado. No se han entregado y desaparecerán por sí solos a su vencimiento. Si espera alguno, elija Liberar.";
        careful: "Nothing happens at once: each link first shows what it would do.", "Nichts geschieht sofort: jeder Link zeigt zuerst, was er tun würde.", "Rien n'est fait tout de suite : chaque lien montre d'abord ce qu'il ferait.", "Nada ocurre de inmediato: cada enlace muestra antes lo que haría.";
        more: "and {} more", "und {} weitere", "et {} autres", "y {} más";
        all_in_browser: "See all of it in the browser", "Alles im Browser ansehen", "Tout voir dans le navigateur", "Ver todo en el navegador";
        delete_all: "Delete all listed here", "Alle hier aufgeführten löschen", "Supprimer tous ceux de cette liste", "Eliminar todos los de esta lista";
        unsubscribe: "No more of these mails", "Keine solchen E-Mails mehr", "Ne plus recevoir ces messages", "No recibir más estos correos";
        from: "From", "Von", "De", "De";
        to: "To", "An", "À", "Para";
        arrived: "Arrived", "Eingegangen", "Reçu", "Recibido";
        unreadable: "(this message cannot be read at the moment)", "(diese Nachricht kann gerade nicht gelesen werden)", "(ce message ne peut pas être lu pour l'instant)", "(este mensaje no se puede leer ahora)";
        on_request: "Ask for Release", "Zustellung erbitten", "Demander la libération", "Pedir la liberación";
        ask_release: "Deliver this message?", "Diese Nachricht zustellen?", "Livrer ce message ?", "¿Entregar este mensaje?";
        ask_release_train: "Deliver this message, and tell the filter that it was wrong?", "Diese Nachricht zustellen und dem Filter sagen, dass er sich irrte?", "Livrer ce message et signaler au filtre son erreur ?", "¿Entregar este mensaje y avisar al filtro de su error?";
        ask_delete: "Delete this message?", "Diese Nachricht löschen?", "Supprimer ce message ?", "¿Eliminar este mensaje?";
        ask_delete_all: "Delete the {} messages that are left of that list?", "Die {} Nachrichten löschen, die von dieser Liste noch da sind?", "Supprimer les {} messages qui restent de cette liste ?", "¿Eliminar los {} mensajes que quedan de esa lista?";
        ask_restore: "Move it back to where it was?", "Dorthin zurücklegen, wo es war?", "Le remettre où il était ?", "¿Devolverlo a su lugar?";
        ask_undo: "Take it back?", "Zurücknehmen?", "Annuler ?", "¿Deshacer?";
        ask_unsubscribe: "No more mails about kept messages for {}?", "Keine E-Mails mehr über zurückgehaltene Nachrichten für {}?", "Ne plus envoyer de messages sur le courrier retenu pour {} ?", "¿No enviar más correos sobre mensajes retenidos para {}?";
        ask_subscribe: "Send mails about kept messages for {} again?", "Wieder E-Mails über zurückgehaltene Nachrichten für {} senden?", "Envoyer de nouveau des messages sur le courrier retenu pour {} ?", "¿Enviar de nuevo correos sobre mensajes retenidos para {}?";
        yes_unsubscribe: "No more mails", "Keine E-Mails mehr", "Ne plus recevoir", "No recibir más";
        yes_subscribe: "Send them again", "Wieder senden", "Recevoir de nouveau", "Recibir de nuevo";
        unsubscribed: "There will be no more such mails for {}. What the filter keeps can still be seen in the browser.", "Für {} kommen keine solchen E-Mails mehr. Was der Filter zurückhält, ist weiter im Browser zu sehen.", "Il n'y aura plus de tels messages pour {}. Ce que le filtre retient reste visible dans le navigateur.", "No habrá más correos así para {}. Lo que retiene el filtro sigue visible en el navegador.";
        subscribed: "Mails about kept messages for {} come again.", "E-Mails über zurückgehaltene Nachrichten für {} kommen wieder.", "Les messages sur le courrier retenu pour {} reviendront.", "Volverán los correos sobre mensajes retenidos para {}.";
        already: "This was asked for before. Nothing more is done.", "Das wurde schon verlangt. Es geschieht nichts weiter.", "C'était déjà demandé. Rien de plus n'est fait.", "Ya se había pedido. No se hace nada más.";
        forged: "This link is not complete, or not from this server. Nothing was done: open it from the mail once more, or sign in.", "Dieser Link ist unvollständig oder nicht von diesem Server. Es wurde nichts getan: Öffnen Sie ihn noch einmal aus der E-Mail, oder melden Sie sich an.", "Ce lien est incomplet ou ne vient pas de ce serveur. Rien n'a été fait : ouvrez-le de nouveau depuis le message, ou connectez-vous.", "Este enlace está incompleto o no es de este servidor. No se hizo nada: ábralo de nuevo desde el correo, o entre.";
        expired: "This link is too old, and its message is gone.", "Dieser Link ist zu alt, und seine Nachricht ist weg.", "Ce lien est trop ancien et son message n'est plus là.", "Este enlace es demasiado antiguo y su mensaje ya no está.";
        cancel: "If this was a mistake, close this page: nothing has happened.", "War das ein Versehen, schließen Sie diese Seite: es ist nichts geschehen.", "Si c'est une erreur, fermez cette page : rien ne s'est passé.", "Si fue un error, cierre esta página: no ha pasado nada.";
        not_done: "It was not done: {}", "Es wurde nicht getan: {}", "Cela n'a pas été fait : {}", "No se hizo: {}";
        settings: "Digest", "Übersicht per E-Mail", "Résumé par courriel", "Resumen por correo";
        settings_on: "You get a mail that lists what was kept for you, when there is something new.", "Sie bekommen eine E-Mail mit dem, was für Sie zurückgehalten wurde, wenn es Neues gibt.", "Vous recevez un message listant ce qui a été retenu pour vous, quand il y a du nouveau.", "Recibe un correo con lo retenido para usted, cuando hay algo nuevo.";
        settings_off: "You get no mail that lists what was kept for you.", "Sie bekommen keine E-Mail mit dem, was für Sie zurückgehalten wurde.", "Vous ne recevez pas de message listant ce qui a été retenu pour vous.", "No recibe ningún correo con lo retenido para usted.";
        settings_none: "The administrator has switched these mails off.", "Der Verwalter hat diese E-Mails abgeschaltet.", "L'administrateur a désactivé ces messages.", "El administrador ha desactivado estos correos.";
    }
}
