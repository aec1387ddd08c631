//! Lists of senders.

texts! {
    /// Texts of the page of senders, and of the question whether a message's sender is to be allowed or blocked.
    Senders {
        senders: "Senders", "Absender", "Expéditeurs", "Remitentes";
        intro: "Mail from an allowed sender is not caught, where SPF or DKIM proves that it really comes from there: whoever only forges the address gains nothing. Mail from a blocked sender is always caught. A domain stands for all addresses in it and below it.", "Mail von einem erlaubten Absender wird nicht abgefangen, wenn SPF oder DKIM beweist, dass sie wirklich von dort kommt: wer die Adresse nur fälscht, gewinnt nichts. Mail von einem gesperrten Absender wird immer abgefangen. Eine Domain steht für alle Adressen in ihr und unter ihr.", "Le courrier d'un expéditeur autorisé n'est pas intercepté, si SPF ou DKIM prouve qu'il vient bien de là : qui ne fait que falsifier l'adresse n'y gagne rien. Le courrier d'un expéditeur bloqué est toujours intercepté. Un domaine vaut pour toutes les adresses qu'il contient et celles de ses sous-domaines.", "El correo de un remitente permitido no se intercepta si SPF o DKIM prueba que de verdad viene de ahí: quien solo falsifica la dirección no gana nada. El correo de un remitente bloqueado se intercepta siempre. Un dominio vale por todas las direcciones en él y por debajo de él.";
        wider: "What an administrator blocks for everybody stays blocked, whatever is allowed here.", "Was die Verwaltung für alle sperrt, bleibt gesperrt, was auch immer hier erlaubt ist.", "Ce qu'un administrateur bloque pour tous reste bloqué, quoi qu'on autorise ici.", "Lo que un administrador bloquea para todos sigue bloqueado, se permita aquí lo que se permita.";
        not_read: "No filter reads these lists yet: the administrator of this server has to set [lists] export. Until then they are kept and change nothing.", "Noch liest kein Filter diese Listen: wer diesen Server verwaltet, muss [lists] export setzen. Bis dahin werden sie aufbewahrt und ändern nichts.", "Aucun filtre ne lit encore ces listes : l'administrateur de ce serveur doit régler [lists] export. D'ici là, elles sont conservées et ne changent rien.", "Ningún filtro lee aún estas listas: quien administra este servidor debe configurar [lists] export. Hasta entonces se guardan y no cambian nada.";
        list_of: "List of {}", "Liste von {}", "Liste de {}", "Lista de {}";
        whose: "Another list (a domain, an address, or global)", "Eine andere Liste (eine Domain, eine Adresse oder global)", "Une autre liste (un domaine, une adresse ou global)", "Otra lista (un dominio, una dirección o global)";
        show: "Show", "Zeigen", "Afficher", "Mostrar";
        lists: "Lists that name somebody", "Listen, in denen jemand steht", "Listes qui nomment quelqu'un", "Listas que nombran a alguien";
        more_lists: "There are {} more.", "Es gibt {} weitere.", "Il y en a {} de plus.", "Hay {} más.";
        unknown_list: "{} is neither global, nor a domain or a recipient of this server.", "{} ist weder global noch eine Domain oder ein Empfänger dieses Servers.", "{} n'est ni global, ni un domaine ou un destinataire de ce serveur.", "{} no es global, ni un dominio o destinatario de este servidor.";
        empty: "Nobody is allowed or blocked here.", "Hier ist niemand erlaubt oder gesperrt.", "Personne n'est autorisé ni bloqué ici.", "Aquí nadie está permitido ni bloqueado.";
        sender: "Sender", "Absender", "Expéditeur", "Remitente";
        state: "State", "Stand", "État", "Estado";
        since: "Since", "Seit", "Depuis", "Desde";
        by: "By", "Durch", "Par", "Por";
        allowed: "allowed", "erlaubt", "autorisé", "permitido";
        blocked: "blocked", "gesperrt", "bloqué", "bloqueado";
        overruled: "blocked all the same by {}", "dennoch gesperrt durch {}", "bloqué malgré tout par {}", "bloqueado de todos modos por {}";
        remove: "Remove", "Entfernen", "Retirer", "Quitar";
        remove_one: "Remove {}", "{} entfernen", "Retirer {}", "Quitar {}";
        add_title: "Add a sender", "Absender hinzufügen", "Ajouter un expéditeur", "Añadir un remitente";
        address_or_domain: "Address or domain", "Adresse oder Domain", "Adresse ou domaine", "Dirección o dominio";
        allow: "Allow", "Erlauben", "Autoriser", "Permitir";
        block: "Block", "Sperren", "Bloquer", "Bloquear";
        not_sender: "{} is neither an address nor a domain. Nothing was changed.", "{} ist weder eine Adresse noch eine Domain. Es wurde nichts geändert.", "{} n'est ni une adresse ni un domaine. Rien n'a été modifié.", "{} no es una dirección ni un dominio. No se cambió nada.";
        did_allow: "{} is allowed in the list of {}.", "{} ist in der Liste von {} erlaubt.", "{} est autorisé dans la liste de {}.", "{} está permitido en la lista de {}.";
        did_block: "{} is blocked in the list of {}.", "{} ist in der Liste von {} gesperrt.", "{} est bloqué dans la liste de {}.", "{} está bloqueado en la lista de {}.";
        did_remove: "{} is no longer in the list of {}.", "{} steht nicht mehr in der Liste von {}.", "{} n'est plus dans la liste de {}.", "{} ya no está en la lista de {}.";
        did_nothing: "{} was not in the list of {}.", "{} stand nicht in der Liste von {}.", "{} n'était pas dans la liste de {}.", "{} no estaba en la lista de {}.";
        is_overruled: "But the list of {} blocks it, and that counts.", "Aber die Liste von {} sperrt ihn, und das zählt.", "Mais la liste de {} le bloque, et c'est cela qui compte.", "Pero la lista de {} lo bloquea, y eso es lo que cuenta.";
        undone: "The list of {} says of {} what it said before.", "Die Liste von {} sagt über {} wieder, was sie zuvor sagte.", "La liste de {} dit à nouveau de {} ce qu'elle disait avant.", "La lista de {} vuelve a decir de {} lo que decía antes.";
        release_allow: "Release and always allow this sender", "Zustellen und diesen Absender immer erlauben", "Libérer et toujours autoriser cet expéditeur", "Liberar y permitir siempre a este remitente";
        always_allow: "Always allow this sender", "Diesen Absender immer erlauben", "Toujours autoriser cet expéditeur", "Permitir siempre a este remitente";
        block_sender: "Block this sender", "Diesen Absender sperren", "Bloquer cet expéditeur", "Bloquear a este remitente";
        nobody: "This message does not name one sender in a way that everybody reads alike, so there is nobody to allow or to block.", "Diese Nachricht nennt keinen Absender auf eine Weise, die alle gleich lesen; so gibt es niemanden zu erlauben oder zu sperren.", "Ce message ne nomme pas un expéditeur d'une façon que tous lisent de même : il n'y a personne à autoriser ou à bloquer.", "Este mensaje no nombra a un solo remitente de un modo que todos lean igual, así que no hay a quién permitir o bloquear.";
        who: "Who", "Wer", "Qui", "Quién";
        only_address: "only {}", "nur {}", "seulement {}", "solo {}";
        whole_domain: "everybody at {} and below it", "alle bei {} und darunter", "tout le monde chez {} et ses sous-domaines", "todos los de {} y sus subdominios";
        only_shared: "Anybody can have an address at {}, so it can only be this one.", "Bei {} kann jeder eine Adresse haben, deshalb geht es nur um diese eine.", "N'importe qui peut avoir une adresse chez {}, il ne peut donc s'agir que de celle-ci.", "Cualquiera puede tener una dirección en {}, así que solo puede ser esta.";
        for_whom: "For whose mail", "Für wessen Mail", "Pour le courrier de qui", "Para el correo de quién";
        everybody: "everybody's", "für die von allen", "de tous", "de todos";
        mail_of: "that of {}", "für die von {}", "de {}", "de {}";
        is_proved: "It is proved that this message comes from there ({}). Mail that is proved like this will not be caught.", "Es ist bewiesen, dass diese Nachricht von dort kommt ({}). So bewiesene Mail wird nicht abgefangen.", "Il est prouvé que ce message vient de là ({}). Le courrier ainsi prouvé ne sera pas intercepté.", "Está probado que este mensaje viene de ahí ({}). El correo así probado no se interceptará.";
        is_unproved: "Nothing proves that this message comes from there: it may be forged. The entry counts only for mail that SPF or DKIM proves, so that a forger gains nothing; mail like this one will be caught all the same.", "Nichts beweist, dass diese Nachricht von dort kommt: sie kann gefälscht sein. Der Eintrag zählt nur für Mail, die SPF oder DKIM beweist, damit ein Fälscher nichts gewinnt; Mail wie diese wird weiterhin abgefangen.", "Rien ne prouve que ce message vient de là : il peut être falsifié. L'autorisation ne vaut que pour le courrier prouvé par SPF ou DKIM, pour qu'un faussaire n'y gagne rien ; un courrier comme celui-ci sera intercepté quand même.", "Nada prueba que este mensaje venga de ahí: puede ser falso. El permiso solo vale para el correo que SPF o DKIM prueba, para que un falsificador no gane nada; un correo como este se interceptará de todos modos.";
        blocks_all: "Mail that says it is from there will always be caught, whoever really sent it.", "Mail, die angibt, von dort zu sein, wird immer abgefangen, wer auch immer sie wirklich gesendet hat.", "Le courrier qui se dit de là sera toujours intercepté, quel qu'en soit le véritable auteur.", "El correo que diga venir de ahí se interceptará siempre, lo haya enviado quien lo haya enviado.";
        delete_too: "Also move this message to Trash", "Diese Nachricht auch in den Papierkorb legen", "Mettre aussi ce message à la corbeille", "Mover también este mensaje a la papelera";
        back: "Back to the message", "Zurück zur Nachricht", "Retour au message", "Volver al mensaje";
    }
}
