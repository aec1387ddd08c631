//! The test message as its recipient sees it: over IMAP, and on the page. Both are signed in to with the pass.

use super::advice;
use super::case::{Case, Finding, Sick, Stored, failed};
use crate::mail::Kept;
use crate::net::browse::{Browser, encoded, hidden_field};
use crate::net::imap_login::visit::{Trouble, Visit};
use crate::net::smtp::{Security, Tls};
use crate::net::tls::{Trust, client_config};
use crate::quarantine::folders::{Folder, Inbox};
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;

impl Case<'_> {
    /// Signs in over IMAP, and looks for it in its folder.
    pub async fn over_imap(&mut self, address: SocketAddr, implicit: bool) -> Finding {
        let (stored, user, password) = self.stored_and_pass()?;
        let tls = own_server()?;
        let security = if implicit { Security::Implicit(tls) } else { Security::StartTls(tls) };
        let folder = self.folder_of(&stored)?;
        let looked: Result<_, Trouble> = async {
            let mut visit =
                Visit::sign_in((&address.ip().to_string(), address.port()), &security, &user, &password).await?;
            visit.select(&folder).await?;
            let uids = visit.with_message_id(&self.message.message_id).await?;
            Ok((visit, uids))
        }
        .await;
        match looked {
            Ok((visit, uids)) => match uids.as_slice() {
                [uid] => {
                    self.visit = Some((visit, *uid));
                    Ok(format!("signed in at {address}: it is in {folder}, UID {uid}"))
                }
                [] => failed(format!("signed in at {address}: it is not in {folder}"), advice::NOT_SEEN),
                many => failed(format!("it is in {folder} {} times", many.len()), advice::NOT_SEEN),
            },
            Err(trouble) => failed(format!("IMAP at {address}: {trouble}"), advice::IMAP),
        }
    }

    /// Signs in on the page, and looks at the list and at the message.
    pub async fn on_the_page(&mut self, address: SocketAddr, tls: bool) -> Finding {
        let (stored, user, password) = self.stored_and_pass()?;
        let mut browser = Browser::new(address, if tls { Some(own_server()?) } else { None });
        let trouble = |why: String| Sick::Failed {
            text: format!("the page at {address}: {why}"),
            change: advice::PAGE.to_string(),
        };
        let page = browser.get("/sign-in").await.map_err(trouble)?;
        let Some(token) = hidden_field(&page.text, "csrf").map(str::to_string) else {
            return Err(trouble(format!("no sign-in is there (status {})", page.status)));
        };
        let form = [("csrf", token.as_str()), ("login", user.as_str()), ("password", password.as_str())];
        let page = browser.post("/sign-in", &form).await.map_err(trouble)?;
        if page.status != 303 {
            return Err(trouble(format!("it does not let the pass in (status {})", page.status)));
        }
        let path = format!("/message/{}/{}", encoded(&stored.recipient), encoded(&stored.id));
        let page = browser.get(&path).await.map_err(trouble)?;
        if page.status != 200 || !page.text.contains(&self.message.subject) {
            return failed(format!("the page at {address} does not show it (status {})", page.status), advice::PAGE);
        }
        let scheme = if tls { "https" } else { "http" };
        Ok(format!("signed in at {scheme}://{address}: the message's page shows it"))
    }

    fn stored_and_pass(&self) -> Result<(Stored, String, String), Sick> {
        match (&self.stored, &self.pass) {
            (Some(stored), Some(pass)) => Ok((stored.clone(), pass.user.clone(), pass.password.expose().clone())),
            _ => Err(Sick::Skipped("the test message is not here".to_string())),
        }
    }

    /// What IMAP calls the folder where it lies.
    fn folder_of(&self, stored: &Stored) -> Result<String, Sick> {
        let shown = self.shown(&stored.id).or_else(|why| failed(why, advice::NOT_SEEN))?;
        let word = shown.message.map(|message| message.folder).unwrap_or_default();
        let kept = Kept::ALL.into_iter().find(|kept| kept.directory().to_lowercase() == word);
        let kept = kept.unwrap_or(Kept::Caught);
        if kept == Kept::Caught && self.config.folders.inbox == Inbox::Caught {
            return Ok("INBOX".to_string());
        }
        Ok(Folder::of(kept).name(&self.config.folders).to_string())
    }
}

/// TLS with our own server: whoever holds the control socket lent the pass, which is of no use to anybody else, so its
/// certificate need not name this machine.
fn own_server() -> Result<Tls, Sick> {
    let config = client_config(&Trust::Anybody).or_else(|e| failed(e.to_string(), advice::CONFIG))?;
    let name = ServerName::try_from("localhost").or_else(|e| failed(e.to_string(), advice::CONFIG))?;
    Ok(Tls { config: Arc::new(config), name })
}
