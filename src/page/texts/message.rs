//! The page of one message.

texts! {
    /// Texts of the page of one message.
    Message {
        no_subject: "(no subject)", "(kein Betreff)", "(sans objet)", "(sin asunto)";
        from: "From", "Von", "De", "De";
        to: "To", "An", "À", "Para";
        date: "Date in the message", "Datum in der Nachricht", "Date du message", "Fecha del mensaje";
        arrived: "Arrived", "Angekommen", "Arrivé", "Llegó";
        size: "Size", "Größe", "Taille", "Tamaño";
        cut_from: "(only the header was kept; the message had {})", "(nur der Kopf wurde aufbewahrt; die Nachricht hatte {})", "(seul l'en-tête a été conservé ; le message faisait {})", "(solo se conservó la cabecera; el mensaje tenía {})";
        expires: "Expires", "Läuft ab", "Expire", "Caduca";
        never: "never", "nie", "jamais", "nunca";
        why: "Why it was caught", "Warum sie abgefangen wurde", "Pourquoi il a été intercepté", "Por qué fue interceptado";
        kind_spam: "The filter takes this message for spam.", "Der Filter hält diese Nachricht für Spam.", "Le filtre tient ce message pour du spam.", "El filtro considera este mensaje spam.";
        kind_phish: "The filter takes this message for phishing: an attempt to steal passwords or money.", "Der Filter hält diese Nachricht für Phishing: den Versuch, Passwörter oder Geld zu stehlen.", "Le filtre tient ce message pour de l'hameçonnage : une tentative de voler des mots de passe ou de l'argent.", "El filtro considera este mensaje phishing: un intento de robar contraseñas o dinero.";
        kind_virus: "A scanner found malware in this message.", "Ein Scanner hat Schadsoftware in dieser Nachricht gefunden.", "Un antivirus a trouvé un logiciel malveillant dans ce message.", "Un antivirus encontró software malicioso en este mensaje.";
        kind_banned: "This message has an attachment or a form that is not allowed here.", "Diese Nachricht hat einen Anhang oder eine Form, die hier nicht erlaubt ist.", "Ce message a une pièce jointe ou une forme qui n'est pas admise ici.", "Este mensaje tiene un adjunto o una forma que aquí no se admite.";
        kind_policy: "This message is against a rule of this site.", "Diese Nachricht verstößt gegen eine Regel dieses Systems.", "Ce message enfreint une règle de ce site.", "Este mensaje incumple una norma de este sitio.";
        class_incoming: "It was not delivered.", "Sie wurde nicht zugestellt.", "Il n'a pas été remis.", "No fue entregado.";
        class_outgoing: "It was sent from here, and did not leave.", "Sie wurde von hier gesendet und ging nicht hinaus.", "Il a été envoyé d'ici et n'est pas parti.", "Se envió desde aquí y no llegó a salir.";
        class_unsure: "It was delivered; this is a copy, kept so that you can tell the filter what it is.", "Sie wurde zugestellt; dies ist eine Kopie, damit Sie dem Filter sagen können, was sie ist.", "Il a été remis ; ceci est une copie, pour que vous puissiez dire au filtre ce que c'est.", "Fue entregado; esto es una copia, para que usted pueda decirle al filtro qué es.";
        sum: "Points in all: {}", "Punkte insgesamt: {}", "Points au total : {}", "Puntos en total: {}";
        no_reasons: "The filter gave no reasons.", "Der Filter hat keine Gründe genannt.", "Le filtre n'a pas donné de raisons.", "El filtro no dio motivos.";
        against: "What speaks for spam", "Was für Spam spricht", "Ce qui évoque un spam", "Lo que apunta a spam";
        in_favour: "What speaks against spam", "Was gegen Spam spricht", "Ce qui parle en sa faveur", "Lo que apunta a que no es spam";
        neutral: "Other remarks", "Weitere Hinweise", "Autres remarques", "Otras observaciones";
        points: "Points", "Punkte", "Points", "Puntos";
        meaning: "Meaning", "Bedeutung", "Signification", "Significado";
        symbol: "The filter's name for it", "Name beim Filter", "Nom donné par le filtre", "Nombre en el filtro";
        authentication: "Is it from whom it says?", "Ist sie von dem, der dort steht?", "Vient-il de qui il le dit ?", "¿Es de quien dice?";
        authentication_unknown: "Not known: no server that we trust has noted it.", "Nicht bekannt: Kein Server, dem wir trauen, hat es vermerkt.", "Inconnu : aucun serveur de confiance ne l'a noté.", "No se sabe: ningún servidor de confianza lo ha anotado.";
        spf_pass: "the server may send for this domain", "der Server darf für diese Domain senden", "le serveur peut envoyer pour ce domaine", "el servidor puede enviar por este dominio";
        spf_fail: "the server may not send for this domain", "der Server darf nicht für diese Domain senden", "le serveur n'a pas le droit d'envoyer pour ce domaine", "el servidor no puede enviar por este dominio";
        spf_softfail: "the server probably may not send for this domain", "der Server darf wahrscheinlich nicht für diese Domain senden", "le serveur n'a sans doute pas le droit d'envoyer pour ce domaine", "es probable que el servidor no pueda enviar por este dominio";
        spf_none: "the domain does not say which servers may send for it", "die Domain sagt nicht, welche Server für sie senden dürfen", "le domaine n'indique pas quels serveurs peuvent envoyer pour lui", "el dominio no dice qué servidores pueden enviar por él";
        dkim_pass: "signed by this domain, and unchanged since", "von dieser Domain signiert und seitdem unverändert", "signé par ce domaine, et inchangé depuis", "firmado por este dominio, y sin cambios desde entonces";
        dkim_fail: "the signature is wrong: the message was changed, or forged", "die Signatur ist falsch: Die Nachricht wurde verändert oder gefälscht", "la signature est fausse : le message a été modifié ou falsifié", "la firma es incorrecta: el mensaje fue modificado o falsificado";
        dkim_none: "not signed", "nicht signiert", "non signé", "sin firma";
        dmarc_pass: "the shown sender is genuine", "der angezeigte Absender ist echt", "l'expéditeur affiché est authentique", "el remitente mostrado es auténtico";
        dmarc_fail: "nothing proves that the shown sender is genuine", "nichts beweist, dass der angezeigte Absender echt ist", "rien ne prouve que l'expéditeur affiché est authentique", "nada prueba que el remitente mostrado sea auténtico";
        dmarc_none: "the domain does not say how forgeries are known", "die Domain sagt nicht, woran Fälschungen zu erkennen sind", "le domaine n'indique pas comment reconnaître les faux", "el dominio no dice cómo reconocer falsificaciones";
        check_failed: "could not be checked", "konnte nicht geprüft werden", "n'a pas pu être vérifié", "no se pudo comprobar";
        origin: "Who sent it, and from where", "Wer sie gesendet hat, und woher", "Qui l'a envoyé, et d'où", "Quién lo envió, y desde dónde";
        client_address: "Address of the sending server", "Adresse des sendenden Servers", "Adresse du serveur d'envoi", "Dirección del servidor remitente";
        client_name: "Its name", "Sein Name", "Son nom", "Su nombre";
        helo: "What it called itself", "Wie er sich nannte", "Comment il s'est présenté", "Cómo se presentó";
        envelope_sender: "Technical sender", "Technischer Absender", "Expéditeur technique", "Remitente técnico";
        null_sender: "(none, as bounces have it)", "(keiner, wie bei Unzustellbarkeitsmeldungen)", "(aucun, comme pour un avis de non-remise)", "(ninguno, como en los avisos de no entrega)";
        user: "Logged in as", "Angemeldet als", "Identifié comme", "Identificado como";
        door: "Way in", "Eingang", "Voie d'entrée", "Vía de entrada";
        queue_id: "Number at the mail server", "Nummer beim Mailserver", "Numéro chez le serveur de messagerie", "Número en el servidor de correo";
        recipients: "Sent to", "Gesendet an", "Envoyé à", "Enviado a";
        told: "What the sender was told", "Was dem Absender gesagt wurde", "Ce qui a été dit à l'expéditeur", "Lo que se le dijo al remitente";
        told_unknown: "Not noted.", "Nicht vermerkt.", "Non noté.", "No está anotado.";
        told_accepted: "That the message was taken.", "Dass die Nachricht angenommen wurde.", "Que le message a été accepté.", "Que el mensaje fue aceptado.";
        told_refused: "That the message was refused:", "Dass die Nachricht abgewiesen wurde:", "Que le message a été refusé :", "Que el mensaje fue rechazado:";
        body: "What it says", "Was darin steht", "Ce qu'il dit", "Lo que dice";
        no_text: "It has no text.", "Sie enthält keinen Text.", "Il ne contient pas de texte.", "No contiene texto.";
        from_html: "The message is HTML only; these are its words.", "Die Nachricht ist nur HTML; dies sind ihre Wörter.", "Le message n'est qu'en HTML ; voici ses mots.", "El mensaje es solo HTML; estas son sus palabras.";
        rest: "Show all of the text", "Den ganzen Text zeigen", "Afficher tout le texte", "Mostrar todo el texto";
        show_html: "Show as HTML", "Als HTML zeigen", "Afficher en HTML", "Mostrar como HTML";
        html_harmless: "Nothing in it can run, nothing is loaded, and its links cannot be followed.", "Nichts darin kann ausgeführt werden, nichts wird geladen, und den Links kann man nicht folgen.", "Rien ne peut s'y exécuter, rien n'est chargé, et ses liens ne peuvent pas être suivis.", "Nada en él puede ejecutarse, nada se carga, y sus enlaces no se pueden seguir.";
        attachments: "Attachments", "Anhänge", "Pièces jointes", "Adjuntos";
        name: "Name", "Name", "Nom", "Nombre";
        media_type: "Type", "Typ", "Type", "Tipo";
        not_hashed: "not computed: the attachments are too large", "nicht berechnet: die Anhänge sind zu groß", "non calculé : les pièces jointes sont trop grandes", "no calculado: los adjuntos son demasiado grandes";
        more_attachments: "There are more attachments than are listed here; the downloaded message has them all.", "Es gibt mehr Anhänge als hier aufgezählt; die heruntergeladene Nachricht enthält alle.", "Il y a plus de pièces jointes que n'en montre cette liste ; le message téléchargé les contient toutes.", "Hay más adjuntos de los que se muestran aquí; el mensaje descargado los contiene todos.";
        attachments_warning: "Attachments of caught mail can harm your computer, whatever their names say.", "Anhänge abgefangener Mail können Ihrem Rechner schaden, was auch immer ihr Name sagt.", "Les pièces jointes d'un courrier intercepté peuvent nuire à votre ordinateur, quel que soit leur nom.", "Los adjuntos de correo interceptado pueden dañar su equipo, diga lo que diga su nombre.";
        source: "Source", "Quelltext", "Source", "Código fuente";
        download: "Download (.eml)", "Herunterladen (.eml)", "Télécharger (.eml)", "Descargar (.eml)";
    }
}
