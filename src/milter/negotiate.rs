//! What both sides agree on first (SMFIC_OPTNEG).

use super::packet::Broken;

/// Newest version that we know; Sendmail since 8.14, Postfix since 2.6.
const VERSION: u32 = 6;
/// Oldest version that is spoken by anybody.
const OLDEST: u32 = 2;

const SMFIF_ADDHDRS: u32 = 0x01;
const SMFIF_CHGHDRS: u32 = 0x10;
const SMFIF_SETSYMLIST: u32 = 0x100;

const SMFIP_NOEOH: u32 = 0x40;
const SMFIP_NR_HDR: u32 = 0x80;
const SMFIP_NOUNKNOWN: u32 = 0x100;
const SMFIP_NR_CONN: u32 = 0x1000;
const SMFIP_NR_HELO: u32 = 0x2000;
const SMFIP_NR_MAIL: u32 = 0x4000;
const SMFIP_NR_UNKN: u32 = 0x2_0000;
const SMFIP_NR_EOH: u32 = 0x4_0000;
const SMFIP_NR_BODY: u32 = 0x8_0000;
const SMFIP_HDR_LEADSPC: u32 = 0x10_0000;

/// Steps that we do not need, answers that we do not give, and header fields as they are. DATA is asked for and answered, though
/// there is nothing to say: Postfix sends its macros whether or not it sends DATA, and without an answer to them the header, which
/// comes from another process, waits 40 ms for the acknowledgement of TCP (Nagle and delayed ACK).
const STEPS: u32 = SMFIP_NOEOH
    | SMFIP_NOUNKNOWN
    | SMFIP_NR_HDR
    | SMFIP_NR_CONN
    | SMFIP_NR_HELO
    | SMFIP_NR_MAIL
    | SMFIP_NR_UNKN
    | SMFIP_NR_EOH
    | SMFIP_NR_BODY
    | SMFIP_HDR_LEADSPC;

/// What we want to be told (SMFIF_SETSYMLIST): by stage (SMFIM_CONNECT, SMFIM_ENVFROM, SMFIM_EOM). A mail server that
/// lacks it has settings of its own for this.
const MACROS: [(u32, &str); 3] = [(0, "{client_addr} {client_name}"), (2, "i {auth_authen}"), (5, "i")];

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreed {
    version: u32,
    actions: u32,
    steps: u32,
}

impl Default for Agreed {
    /// Nothing: version 2, every step is answered.
    fn default() -> Self {
        Agreed { version: OLDEST, actions: 0, steps: 0 }
    }
}

impl Agreed {
    /// What an offer leads to.
    pub(super) fn on(offer: &[u8]) -> Result<Agreed, Broken> {
        let number = |at: usize| {
            let bytes = offer.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
            bytes.map(u32::from_be_bytes).ok_or(Broken("its offer at the beginning is too short"))
        };
        let (version, actions, steps) = (number(0)?, number(4)?, number(8)?);
        if version < OLDEST {
            return Err(Broken("it speaks a version of the protocol that is too old"));
        }
        Ok(Agreed {
            version: version.min(VERSION),
            actions: actions & (SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_SETSYMLIST),
            steps: steps & STEPS,
        })
    }

    /// The data of our answer to the offer.
    pub(super) fn answer(&self) -> Vec<u8> {
        let mut data: Vec<u8> = [self.version, self.actions, self.steps].iter().flat_map(|n| n.to_be_bytes()).collect();
        if self.actions & SMFIF_SETSYMLIST != 0 {
            for (stage, names) in MACROS {
                data.extend(stage.to_be_bytes());
                data.extend(names.bytes());
                data.push(0);
            }
        }
        data
    }

    /// Whether the values of header fields come with the white space in front, and go with it.
    pub(super) fn is_spaced(&self) -> bool {
        self.steps & SMFIP_HDR_LEADSPC != 0
    }

    /// Whether fields may be added.
    pub(super) fn may_add(&self) -> bool {
        self.actions & SMFIF_ADDHDRS != 0
    }

    /// Whether a field may be put between others: SMFIR_INSHEADER came with version 3.
    pub(super) fn may_insert(&self) -> bool {
        self.may_add() && self.version > 2
    }

    /// Whether fields may be changed and taken away.
    pub(super) fn may_change(&self) -> bool {
        self.actions & SMFIF_CHGHDRS != 0
    }

    /// Whether a step that we have nothing to say to is answered.
    pub(super) fn is_answered(&self, command: u8) -> bool {
        let bit = match command {
            b'C' => SMFIP_NR_CONN,
            b'H' => SMFIP_NR_HELO,
            b'M' => SMFIP_NR_MAIL,
            b'U' => SMFIP_NR_UNKN,
            b'L' => SMFIP_NR_HDR,
            b'N' => SMFIP_NR_EOH,
            b'B' => SMFIP_NR_BODY,
            _ => 0,
        };
        self.steps & bit == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(version: u32, actions: u32, steps: u32) -> Vec<u8> {
        [version, actions, steps].iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    #[test]
    fn only_what_is_offered_is_asked_for() {
        let old = Agreed::on(&offer(2, 0x3f, 0x7f)).unwrap();
        assert_eq!(old.answer(), offer(2, SMFIF_ADDHDRS | SMFIF_CHGHDRS, SMFIP_NOEOH));
        assert!(!old.is_spaced() && !old.may_insert() && old.may_add() && old.may_change());
        assert!(b"CHMRTULNBE".iter().all(|&c| old.is_answered(c)));
        let new = Agreed::on(&offer(7, u32::MAX, u32::MAX)).unwrap();
        let answer = new.answer();
        assert_eq!(&answer[..12], offer(6, SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_SETSYMLIST, STEPS));
        assert!(answer[12..].starts_with(b"\0\0\0\0{client_addr} {client_name}\0\0\0\0\x02"));
        assert!(new.is_spaced() && new.may_insert() && new.is_answered(b'R') && new.is_answered(b'E'));
        assert!(b"CHMULNB".iter().all(|&c| !new.is_answered(c)));
        assert!(new.is_answered(b'T'), "what Postfix sends before the header is answered, or the header waits");
        let none = Agreed::on(&offer(6, 0, 0)).unwrap();
        assert!(!none.may_add() && !none.may_change() && none.answer() == offer(6, 0, 0));
        for bad in [&b""[..], b"12345678901", &offer(1, 9, 9), &offer(0, 9, 9)] {
            assert!(Agreed::on(bad).is_err());
        }
    }
}
