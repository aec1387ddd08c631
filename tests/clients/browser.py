"""A real browser for the page's tests: Chromium without a window, driven by Debian's python3-selenium (WebDriver and CDP).

Whatever it requests, in any frame, is in its own log (`requests`), so a test can say that nothing left the page's origin.
"""
import json
import os
import tempfile
import urllib.parse

from lazaret import ROOT, need, wait_for

need("/usr/bin/chromium", "/usr/bin/chromedriver")
try:
    from selenium import webdriver
    from selenium.common.exceptions import (NoAlertPresentException, NoSuchElementException,
                                            StaleElementReferenceException, WebDriverException)
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    need("python3-selenium")

SHOTS = os.path.join(ROOT, "target/page")
# What a new profile asks of its maker (updates, variations) is switched off: the log is to hold what the page causes.
QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-default-apps", "--no-first-run", "--disable-extensions", "--disable-features=Translate,OptimizationHints,MediaRouter"]


class Browser:
    """One Chromium with a profile of its own."""

    def __init__(self, base, script=True, languages="en", size=(1280, 900), log=False):
        self.base, self.folder = base.rstrip("/"), tempfile.TemporaryDirectory(prefix="lazaret-browser-")
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        # The demonstration signs its certificate itself.
        for argument in [*QUIET, "--ignore-certificate-errors", f"--window-size={size[0]},{size[1]}", "--lang=en"]:
            options.add_argument(argument)
        options.add_experimental_option("prefs", {
            "profile.managed_default_content_settings.javascript": 1 if script else 2,
            "download.default_directory": self.folder.name,
            "download.prompt_for_download": False,
            "intl.accept_languages": languages,
        })
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", **({"performance": "ALL"} if log else {})})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_page_load_timeout(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()
        self.folder.cleanup()

    def go(self, path):
        self.driver.get(self.base + path if path.startswith("/") else path)
        return self

    @property
    def path(self):
        """Path and query of the address bar."""
        parts = urllib.parse.urlsplit(self.driver.current_url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return [element.text for element in self.all(selector)]

    def text(self, selector="body"):
        """The text there; "" while there is none, or the page is being replaced."""
        try:
            return self.one(selector).text
        except (NoSuchElementException, StaleElementReferenceException):
            return ""

    def submit(self, element, seconds=30):
        """Clicks what leads to another document, and waits until that has been read."""
        page = self.one("html")
        element.click()

        def gone():
            try:
                return page.is_enabled() is None
            except StaleElementReferenceException:
                return True
            except WebDriverException as error:
                # the driver's other word for it, between two documents
                return "does not belong to the document" in str(error)

        if not wait_for(gone, seconds):
            raise RuntimeError("the click led nowhere")
        wait_for(lambda: self.one("html") and (self.all("main") or self.all("pre")), seconds)

    def press(self, key):
        webdriver.ActionChains(self.driver).send_keys(key).perform()

    def sign_in(self, login, password="lazaret"):
        self.go("/sign-in")
        self.one("#login").clear()
        self.one("#login").send_keys(login)
        self.one("#password").send_keys(password)
        self.submit(self.one("button"))

    def sign_out(self):
        self.submit(self.one(".account button"))

    # The list.

    def rows(self):
        return self.all("table.list tbody tr")

    def row(self, subject):
        """The row whose subject holds this."""
        found = [row for row in self.rows() if subject in row.find_element(By.CSS_SELECTOR, ".subject").text]
        if len(found) != 1:
            raise RuntimeError(f"{len(found)} rows have {subject!r} in their subject")
        return found[0]

    def tick(self, *subjects):
        for subject in subjects:
            self.row(subject).find_element(By.CSS_SELECTOR, "input").click()

    def act(self, word):
        """Presses the button of an action; the notice that follows."""
        self.submit(self.one(f'button[value="{word}"]'))
        return self.text(".notice")

    def undo(self):
        self.submit(self.one('.notice form[action="/undo"] button'))
        return self.text(".notice")

    def count(self, path="/caught"):
        """What the header says of a folder, or of the requests; 0 when it says nothing."""
        return int(self.text(f'.top a[href="{path}"] .count') or 0)

    def open(self, subject):
        self.submit(self.row(subject).find_element(By.CSS_SELECTOR, ".subject a"))

    def download(self, element):
        """Clicks a link that saves a file; name and bytes."""
        before = set(os.listdir(self.folder.name))
        element.click()

        def saved():
            new = [n for n in set(os.listdir(self.folder.name)) - before if not n.endswith(".crdownload") and not n.startswith(".")]
            return new[0] if new else None

        name = wait_for(saved)
        if not name:
            raise RuntimeError("nothing was saved")
        with open(os.path.join(self.folder.name, name), "rb") as file:
            return name, file.read()

    # What only CDP tells.

    def cdp(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def dialog(self):
        """The text of an alert that is open."""
        try:
            return self.driver.switch_to.alert.text
        except NoAlertPresentException:
            return None

    def requests(self):
        """Addresses that were requested since the last call, by any frame of the page, and windows that were opened."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
            elif message["method"] == "Network.webSocketCreated":
                found.append(message["params"]["url"])
            elif message["method"] in ("Page.windowOpen", "Page.frameRequestedNavigation"):
                found.append(message["params"]["url"])
        return found

    def shot(self, name):
        os.makedirs(SHOTS, exist_ok=True)
        self.driver.save_screenshot(os.path.join(SHOTS, name + ".png"))
