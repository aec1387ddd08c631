//! What many pages show.

texts! {
    /// Texts of many pages.
    Common {
        release: "Release", "Zustellen", "Libérer", "Liberar";
        release_train: "Release & Train", "Zustellen & lernen", "Libérer et apprendre", "Liberar y aprender";
        not_spam: "Not Spam", "Kein Spam", "Pas un spam", "No es spam";
        spam: "Spam", "Spam", "Spam", "Spam";
        delete: "Delete", "Löschen", "Supprimer", "Eliminar";
        undo: "Undo", "Rückgängig", "Annuler", "Deshacer";
        caught: "Caught", "Abgefangen", "Interceptés", "Interceptados";
        outgoing: "Caught (Outgoing)", "Abgefangen (ausgehend)", "Interceptés (sortants)", "Interceptados (salientes)";
        training: "Training Requested", "Lernen erbeten", "Apprentissage demandé", "Aprendizaje pedido";
        trash: "Trash", "Papierkorb", "Corbeille", "Papelera";
        history: "History", "Verlauf", "Historique", "Historial";
        sender: "Sender", "Absender", "Expéditeur", "Remitente";
        recipient: "Recipient", "Empfänger", "Destinataire", "Destinatario";
        subject: "Subject", "Betreff", "Objet", "Asunto";
        date: "Date", "Datum", "Date", "Fecha";
        score: "Score", "Punkte", "Score", "Puntuación";
        reason: "Reason", "Grund", "Raison", "Motivo";
        expires: "Expires", "Läuft ab", "Expire", "Caduca";
        no_subject: "(no subject)", "(kein Betreff)", "(sans objet)", "(sin asunto)";
    }
}
