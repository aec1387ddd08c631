"""Thunderbird on a display of its own: a fresh profile with accounts, and where folders and messages lie in its window."""
import hashlib
import os
import ssl
import subprocess
import time

from lazaret import split, wait_for
from window import Marionette, marionette_port

PREFS = {
    "mail.shell.checkDefaultClient": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.spotlight.firstRunDone": True,
    "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "app.donation.eoy.version.viewed": 999,
    "app.update.enabled": False,
    "mail.rights.version": 1,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "toolkit.telemetry.enabled": False,
    "extensions.update.enabled": False,
    "mail.inappnotifications.enabled": False,
    "mail.threadpane.listview": 1,
    "mail.biff.show_alert": False,
    "mail.biff.play_sound": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}

# Beginnings of scripts: the window, its mail tab, a folder by its account's number and name.
START = """
const top_ = Services.wm.getMostRecentWindow("mail:3pane");
const pane = top_.document.getElementById("tabmail").currentAbout3Pane || top_.document.getElementById("tabmail").tabInfo[0].chromeBrowser.contentWindow;
const spot = element => {
    if (!element) return null;
    const box = element.getBoundingClientRect();
    const win = element.ownerDocument.defaultView;
    return [win.mozInnerScreenX + box.x + box.width / 2, win.mozInnerScreenY + box.y + box.height / 2, box.width, box.height];
};
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
// Without a login: Local Folders.
const folder = (login, name) => {
    const server = MailServices.accounts.allServers.find(s => login ? s.type == "imap" && s.username == login : s.type == "none");
    return server && server.rootFolder.descendants.find(f => f.name == name);
};
"""


def write_profile(profile, imaps, accounts, extra=None):
    """user.js with an account for each (login, password)."""
    os.makedirs(profile, exist_ok=True)
    host, port = split(imaps)
    prefs = dict(PREFS, **(extra or {}))
    names = []
    for n, (login, _) in enumerate(accounts, 1):
        names.append(f"account{n}")
        prefs[f"mail.account.account{n}.server"] = f"server{n}"
        prefs[f"mail.account.account{n}.identities"] = f"id{n}"
        mail = login if "@" in login else f"postmaster@{login}"
        prefs.update({f"mail.identity.id{n}.{k}": v for k, v in {"fullName": "Test", "useremail": mail, "valid": True, "fcc": False, "draft_folder": "", "archive_enabled": False}.items()})
        prefs.update({f"mail.server.server{n}.{k}": v for k, v in {"type": "imap", "hostname": host, "port": port, "socketType": 3, "userName": login, "name": login, "check_new_mail": False, "login_at_startup": False, "authMethod": 3}.items()})
    prefs["mail.accountmanager.accounts"] = ",".join(names)
    prefs["mail.accountmanager.defaultaccount"] = "account1"
    with open(os.path.join(profile, "user.js"), "w") as file:
        for name, value in prefs.items():
            text = {True: "true", False: "false"}[value] if isinstance(value, bool) else value if isinstance(value, int) else '"' + value + '"'
            file.write(f'user_pref("{name}", {text});\n')


def accept(profile, imaps, certificate):
    """The self-signed certificate is accepted for good, as by a click on "Confirm Security Exception"."""
    with open(certificate) as file:
        der = ssl.PEM_cert_to_DER_cert(file.read())
    digest = hashlib.sha256(der).hexdigest().upper()
    print_ = ":".join(digest[i : i + 2] for i in range(0, 64, 2))
    host, port = split(imaps)
    with open(os.path.join(profile, "cert_override.txt"), "w") as file:
        file.write(f"# PSM Certificate Override Settings file\n{host}:{port}:\tOID.2.16.840.1.101.3.4.2.1\t{print_}\t\n")


class Thunderbird:
    def __init__(self, display, folder, imaps, ca, accounts, extra=None):
        self.display, self.folder, self.accounts = display, folder, accounts
        self.profile = os.path.join(folder, "profile")
        self.log = os.path.join(folder, "imap.log")
        port = marionette_port()
        write_profile(self.profile, imaps, accounts, dict(extra or {}, **{"marionette.port": port}))
        if ca:
            accept(self.profile, imaps, ca)
        env = dict(display.env, HOME=folder, MOZ_LOG="IMAP:4,timestamp", MOZ_LOG_FILE=self.log, LC_ALL="C.UTF-8", TZ="UTC")
        env.pop("DBUS_SESSION_BUS_ADDRESS", None)
        # A file: whoever reads our own output must not wait for Thunderbird's processes.
        self.out = open(os.path.join(folder, "out"), "wb")
        command = ["thunderbird", "--marionette", "--remote-allow-system-access", "--profile", self.profile, "--no-remote"]
        self.process = subprocess.Popen(command, env=env, stdout=self.out, stderr=self.out)
        self.told = Marionette(port)

    def run(self, script, *arguments):
        return self.told.run(START + script, *arguments)

    def passwords(self, origin):
        """Puts the passwords into the program's store, as ticking the box in its prompt does."""
        for login, password in self.accounts:
            self.told.say("Marionette:SetContext", {"value": "chrome"})
            self.told.run(
                """const info = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
                info.init(arguments[0], null, arguments[0], arguments[1], arguments[2], "", "");
                return Services.logins.addLoginAsync(info).then(() => true);""",
                origin, login, password)

    def logged(self):
        """The IMAP log."""
        text = ""
        for name in sorted(os.listdir(self.folder)):
            if name.startswith("imap.log"):
                with open(os.path.join(self.folder, name), errors="replace") as file:
                    text += file.read()
        return text

    def folders(self, login):
        return self.run("""const s = MailServices.accounts.allServers.find(s => s.type == "imap" && s.username == arguments[0]);
            return s.rootFolder.descendants.map(f => f.name);""", login)

    def folder_spot(self, login, name):
        """Where a folder lies in the tree: the middle of its name."""
        return self.run("""const f = folder(arguments[0], arguments[1]); if (!f) return null;
            const row = pane.folderPane.getRowForFolder(f); if (!row) return null;
            return spot(row.querySelector(".name") || row);""", login, name)

    def subjects(self):
        """What the message list shows, in its order."""
        return self.run("""const v = pane.gDBView; if (!v) return null; const l = [];
            for (let i = 0; i < v.rowCount; i++) { const h = v.getMsgHdrAt(i); l.push(h.mime2DecodedSubject); } return l;""")

    def uids(self):
        return self.run("""const v = pane.gDBView; const l = {};
            for (let i = 0; i < v.rowCount; i++) { const h = v.getMsgHdrAt(i); l[h.mime2DecodedSubject] = h.messageKey; } return l;""")

    def message_spot(self, subject):
        return self.run("""const v = pane.gDBView; for (let i = 0; v && i < v.rowCount; i++)
            if (v.getMsgHdrAt(i).mime2DecodedSubject == arguments[0]) { pane.threadTree.scrollToIndex(i, true);
                const row = pane.threadTree.getRowAtIndex(i); return spot(row && (row.querySelector(".subject-line") || row)); }
            return null;""", subject)

    def alerts(self):
        """Windows and dialogs other than the mail window."""
        return self.run("""const l = []; for (const w of Services.wm.getEnumerator(null)) if (w != top_) l.push(w.document.title + " | " + w.location.href + " | " + (w.document.documentElement.textContent || "").slice(0, 300));
            return l;""")

    def boxes(self):
        """What has come up besides the mail window: titles on the screen, and windows of the program itself."""
        seen = [title for title in self.display.titles() if not title.endswith("Mozilla Thunderbird") and title != "Thunderbird"]
        return seen + self.alerts()

    def drag(self, login, subjects, to):
        """Selects messages of the open folder and drags them to a folder of that account."""
        spots = [self.message_spot(subject) for subject in subjects]
        self.display.click(*spots[0][:2])
        for spot in spots[1:]:
            self.display.do("keydown", "ctrl")
            self.display.click(*spot[:2])
            self.display.do("keyup", "ctrl")
        self.display.drag(spots[-1][:2], self.folder_spot(login, to)[:2])

    def element_spot(self, selector):
        """Where an element of the window, its mail tab, or something inside them lies; None when it cannot be seen."""
        return self.run("""const found = [];
            const walk = root => { for (const e of root.querySelectorAll("*")) {
                if (e.matches(arguments_[0])) found.push(e);
                if (e.shadowRoot) walk(e.shadowRoot); } };
            const arguments_ = arguments;
            walk(top_.document);
            if (pane && pane.document) walk(pane.document);
            return spot(found.find(e => e.getBoundingClientRect().width > 0));""", selector)

    def choose(self, login, folder, item, shot):
        """Right-clicks a folder and clicks an item of the menu, seen on a screenshot."""
        self.display.click(*self.folder_spot(login, folder)[:2], button=3)
        where = wait_for(lambda: self.element_spot(item), 10)
        shot(f"menu-{folder}")
        self.display.click(*where[:2])

    def shown(self):
        """The text of the message that is shown."""
        return self.run("""const browser = pane.messageBrowser && pane.messageBrowser.contentWindow.getMessagePaneBrowser();
            return browser && browser.contentDocument && browser.contentDocument.body && browser.contentDocument.body.textContent;""")

    def sign_in(self):
        """Opens the account in the folder tree and gets its messages: a modal box at start would stop Marionette."""
        self.display.click(59, 132)
        time.sleep(1)
        self.display.click(69, 89)

    def get_messages(self, login):
        """Lists an account's folders and gets its messages, as a click on the account and on Get Messages does."""
        self.run("""const s = MailServices.accounts.allServers.find(s => s.type == "imap" && s.username == arguments[0]);
            s.performExpand(top_.msgWindow); s.getNewMessages(s.rootFolder.descendants[0] || s.rootFolder, top_.msgWindow, null);""", login)

    def keep_locally(self, message):
        """Puts a message into the inbox of Local Folders, which are made when they are not there."""
        self.run("""if (!MailServices.accounts.allServers.some(s => s.type == "none")) MailServices.accounts.createLocalMailAccount();
            const root = MailServices.accounts.localFoldersServer.rootFolder;
            let inbox = root.descendants.find(f => f.name == "Inbox");
            if (!inbox) { root.createSubfolder("Inbox", null); inbox = root.getChildNamed("Inbox"); }
            inbox.QueryInterface(Ci.nsIMsgLocalMailFolder).addMessage(
                "From - Sat Nov 21 10:00:00 2026\\n" + unescape(encodeURIComponent(arguments[0])));""", message)

    def open_folder(self, login, name):
        where = wait_for(lambda: self.folder_spot(login, name), 30)
        if not where:
            raise RuntimeError(f"{name} is not in the folder tree")
        self.display.click(where[0], where[1])

    def stop(self):
        try:
            self.told.close()
        except (OSError, RuntimeError):
            pass
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.out.close()
