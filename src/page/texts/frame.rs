//! The frame that shows a message's HTML.

texts! {
    /// Texts inside the frame that shows a message's HTML.
    Frame {
        title: "The message as HTML", "Die Nachricht als HTML", "Le message en HTML", "El mensaje en HTML";
        image: "image not shown", "Bild nicht angezeigt", "image non affichée", "imagen no mostrada";
        form: "a form that sends what is typed", "ein Formular, das Eingaben sendet", "un formulaire qui envoie ce qui est saisi", "un formulario que envía lo que se escribe";
        field: "input field", "Eingabefeld", "champ de saisie", "campo de entrada";
        nowhere: "no address", "keine Adresse", "aucune adresse", "ninguna dirección";
        other_site: "careful: the text names another site", "Vorsicht: der Text nennt eine andere Seite", "attention : le texte nomme un autre site", "cuidado: el texto nombra otro sitio";
        cut: "The rest of this message is too long to be shown. Download it to see it whole.", "Der Rest dieser Nachricht ist zu lang für die Anzeige. Laden Sie sie herunter, um sie ganz zu sehen.", "La suite de ce message est trop longue pour être affichée. Téléchargez-le pour le voir en entier.", "El resto de este mensaje es demasiado largo para mostrarse. Descárguelo para verlo entero.";
    }
}
