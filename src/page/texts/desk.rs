//! History, requests, status, reports.

texts! {
    /// Texts of the pages besides the lists.
    Desk {
        requests: "Requests", "Anfragen", "Demandes", "Solicitudes";
        status: "Status", "Zustand", "État", "Estado";
        report: "Report", "Melden", "Signaler", "Notificar";
        time: "Time", "Zeit", "Heure", "Hora";
        event: "What happened", "Was geschah", "Événement", "Suceso";
        by: "By", "Durch", "Par", "Por";
        answer: "Answer", "Antwort", "Réponse", "Respuesta";
        nothing_yet: "Nothing has happened yet.", "Noch ist nichts geschehen.", "Il ne s'est encore rien passé.", "Todavía no ha ocurrido nada.";
        asked: "asked for", "erbeten", "demandé", "pedido";
        undone: "taken back", "zurückgenommen", "annulé", "deshecho";
        appended: "handed in", "eingereicht", "déposé", "entregado";
        released: "delivered", "zugestellt", "livré", "entregado al buzón";
        deferred: "not yet taken", "noch nicht angenommen", "pas encore accepté", "aún no aceptado";
        release_failed: "delivery refused, message came back", "Zustellung abgelehnt, Nachricht kam zurück", "livraison refusée, message revenu", "entrega rechazada, el mensaje volvió";
        trained: "learned by the filter", "vom Filter gelernt", "appris par le filtre", "aprendido por el filtro";
        training_failed: "not learned by the filter", "vom Filter nicht gelernt", "non appris par le filtre", "no aprendido por el filtro";
        removed: "moved to Trash", "in den Papierkorb gelegt", "mis à la corbeille", "movido a la papelera";
        restored: "moved back from Trash", "aus dem Papierkorb geholt", "sorti de la corbeille", "sacado de la papelera";
        expunged: "removed for good", "endgültig gelöscht", "supprimé définitivement", "eliminado definitivamente";
        expired: "expired", "abgelaufen", "expiré", "caducado";
        requested: "requested", "angefragt", "sollicité", "solicitado";
        granted: "request granted", "Anfrage gewährt", "demande accordée", "solicitud concedida";
        declined: "request declined", "Anfrage abgelehnt", "demande refusée", "solicitud denegada";
        allowed: "sender allowed", "Absender erlaubt", "expéditeur autorisé", "remitente permitido";
        blocked: "sender blocked", "Absender gesperrt", "expéditeur bloqué", "remitente bloqueado";
        unlisted: "sender taken off the list", "Absender aus der Liste genommen", "expéditeur retiré de la liste", "remitente quitado de la lista";
        verb_release: "release", "zustellen", "libérer", "liberar";
        verb_train_ham: "report as not spam", "als kein Spam melden", "signaler comme légitime", "notificar como legítimo";
        verb_train_spam: "report as spam", "als Spam melden", "signaler comme spam", "notificar como spam";
        verb_remove: "remove", "löschen", "supprimer", "eliminar";
        older: "Older", "Älter", "Plus anciens", "Más antiguos";
        waiting_for_you: "Waiting for your decision", "Warten auf Ihre Entscheidung", "En attente de votre décision", "Esperan su decisión";
        waiting_for_others: "What you requested", "Was Sie angefragt haben", "Vos demandes", "Lo que usted solicitó";
        no_requests: "Nobody waits for a decision.", "Niemand wartet auf eine Entscheidung.", "Personne n'attend de décision.", "Nadie espera una decisión.";
        grant: "Grant", "Gewähren", "Accorder", "Conceder";
        decline: "Decline", "Ablehnen", "Refuser", "Denegar";
        did_grant: "The request was granted.", "Die Anfrage wurde gewährt.", "La demande est accordée.", "Se concedió la solicitud.";
        did_decline: "The request was declined; the message stays where it is.", "Die Anfrage wurde abgelehnt; die Nachricht bleibt, wo sie ist.", "La demande est refusée ; le message reste où il est.", "Se denegó la solicitud; el mensaje se queda donde está.";
        what: "What", "Was", "Quoi", "Qué";
        messages: "Messages", "Nachrichten", "Messages", "Mensajes";
        size: "Size", "Größe", "Taille", "Tamaño";
        queue: "Deliveries and reports under way", "Zustellungen und Meldungen unterwegs", "Livraisons et signalements en cours", "Entregas y notificaciones en curso";
        oldest: "Oldest of them", "Die älteste davon", "La plus ancienne", "La más antigua";
        digests: "Digests sent", "Gesendete Übersichten", "Récapitulatifs envoyés", "Resúmenes enviados";
        digest_last: "Last", "Zuletzt", "Dernier", "Último";
        digest_failed: "Failed", "Fehlgeschlagen", "Échec", "Fallido";
        none: "none", "keine", "aucune", "ninguna";
        disk: "Free disk", "Freier Platz", "Espace libre", "Espacio libre";
        accounts: "Accounts", "Konten", "Comptes", "Cuentas";
        next_expiry: "Expires within a day", "Läuft binnen eines Tages ab", "Expirent sous un jour", "Caducan en un día";
        intake: "Messages of the last 48 hours, by hour of arrival", "Nachrichten der letzten 48 Stunden, nach Ankunft", "Messages des dernières 48 heures, par heure d'arrivée", "Mensajes de las últimas 48 horas, por hora de llegada";
        per_hour: "At most {} in an hour, {} in all.", "Höchstens {} in einer Stunde, {} insgesamt.", "Au plus {} par heure, {} en tout.", "Como máximo {} en una hora, {} en total.";
        report_intro: "Hand in a message that the filter judged wrongly: saved from a mail program as a file (.eml). It goes to the filter, to nobody else.", "Reichen Sie eine Nachricht ein, die der Filter falsch beurteilt hat: aus einem Mailprogramm als Datei (.eml) gespeichert. Sie geht an den Filter, an niemanden sonst.", "Déposez un message que le filtre a mal jugé : enregistré depuis un logiciel de courrier comme fichier (.eml). Il va au filtre, à personne d'autre.", "Entregue un mensaje que el filtro juzgó mal: guardado desde un programa de correo como archivo (.eml). Va al filtro y a nadie más.";
        file: "File", "Datei", "Fichier", "Archivo";
        is_spam: "This is spam that was delivered", "Das ist Spam, der zugestellt wurde", "C'est un spam qui a été livré", "Es spam que se entregó";
        is_ham: "This is not spam", "Das ist kein Spam", "Ce n'est pas un spam", "No es spam";
        hand_in: "Hand in", "Einreichen", "Déposer", "Entregar";
        did_report: "The message was handed in.", "Die Nachricht wurde eingereicht.", "Le message est déposé.", "El mensaje se entregó.";
        no_file: "Choose a file first.", "Wählen Sie zuerst eine Datei.", "Choisissez d'abord un fichier.", "Elija primero un archivo.";
        html_view: "As HTML", "Als HTML", "En HTML", "En HTML";
        html_note: "Nothing is loaded from elsewhere, nothing runs, links are shown as text.", "Nichts wird von anderswo geladen, nichts läuft, Verweise erscheinen als Text.", "Rien n'est chargé d'ailleurs, rien ne s'exécute, les liens sont affichés en texte.", "No se carga nada de fuera, nada se ejecuta, los enlaces se muestran como texto.";
        whole_text: "The whole text", "Der ganze Text", "Le texte entier", "El texto completo";
        source: "Source", "Quelltext", "Source", "Código fuente";
        was_cut: "The rest is too long to be shown; download the message to see it whole.", "Der Rest ist zu lang für die Anzeige; laden Sie die Nachricht herunter.", "La suite est trop longue pour être affichée ; téléchargez le message.", "El resto es demasiado largo para mostrarlo; descargue el mensaje.";
        back: "Back to the message", "Zurück zur Nachricht", "Retour au message", "Volver al mensaje";
    }
}
