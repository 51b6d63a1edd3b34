"""The consent journey in a real headless Chromium, by its buttons and fields; pictures of each page in both languages,
both themes and on a narrow screen go to BAILEE_ARTIFACTS."""

import pathlib
import re
import shutil
import time

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from house import ARTIFACTS
from kit import Server

# The switches that a machine without a desktop, and with a closed network, needs.
SWITCHES = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--hide-scrollbars"]


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


class Chromium:
    def __init__(self, server, folder, width=1280):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for switch in [*SWITCHES, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900"]:
            options.add_argument(switch)
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        options.add_experimental_option("prefs", {"download.default_directory": str(self.downloads),
                                                  "intl.accept_languages": "en"})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.base = server.console
        if width < 500:  # a headless window has a least width; the device does not
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": True})

    def go(self, path):
        self.driver.get(self.base + path)
        return self

    def find(self, css):
        return WebDriverWait(self.driver, 20).until(lambda d: d.find_element(By.CSS_SELECTOR, css))

    def there(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def fill(self, **fields):
        for name, text in fields.items():
            field = self.find("#" + name.replace("_", "-"))
            field.clear()
            field.send_keys(text)
        return self

    def press(self, form):
        """Presses the form's button and waits until another page has come."""
        before = self.find("html")
        self.find(f"{form} button").click()
        WebDriverWait(self.driver, 20).until(lambda d: is_gone(before))
        return self

    def downloaded(self):
        """The bytes of the one file that comes; the browser makes it empty first."""
        end = time.monotonic() + 20
        while True:
            files = list(self.downloads.iterdir())
            if len(files) == 1 and files[0].suffix != ".crdownload" and files[0].stat().st_size > 0:
                return files[0].read_bytes()
            assert time.monotonic() < end, f"nothing was downloaded: {files}"
            time.sleep(0.1)

    @property
    def text(self):
        return self.find("body").text

    def picture(self, name):
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        height = self.driver.execute_script("return document.documentElement.scrollHeight")
        width = self.driver.execute_script("return innerWidth")
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}})
        import base64
        (ARTIFACTS / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def well(self):
        """Nothing was blocked or broken, nothing sticks out, no script but our own files runs, and every picture of a letter is there."""
        said = [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]
        assert not [m for m in said if "status of 403" not in m], said
        over = self.driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{self.driver.current_url} is {over} px too wide"
        assert not self.there("script:not([src^='/assets/']), [onclick], [style]")
        unnamed = self.driver.execute_script(
            "return [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
            ".filter(e => !e.labels.length && !e.ariaLabel).map(e => e.outerHTML)")
        assert not unnamed, unnamed
        return self

    def quit(self):
        self.driver.quit()


def is_gone(element):
    try:
        element.tag_name
        return False
    except Exception:
        return True


@pytest.fixture
def open_browser(server, tmp_path):
    opened = []

    def make(**more):
        opened.append(Chromium(server, tmp_path / str(len(opened)), **more))
        return opened[-1]

    yield make
    for browser in opened:
        browser.quit()


def login_tenant(browser, server, alias="acme"):
    user = server.tenant(alias)["user"]
    browser.go("/login").fill(tenant=alias, user=user["name"], tenant_password=user["password"])
    return browser.press("#login-tenant")


def login_operator(browser, server, name="op-lin"):
    browser.go("/login").fill(operator=name, operator_password=server.operator(name)["password"])
    return browser.press("#login-operator")


def open_object(browser, key):
    browser.go("/desk/tickets/T-1/data/acme-invoices?prefix=invoices/2026-11/")
    row = next(r for r in browser.there("tr") if key in r.text)
    row.find_element(By.CSS_SELECTOR, "button").click()


def test_the_whole_journey_by_its_buttons(server, open_browser):
    lin, li = open_browser(), open_browser()
    login_operator(lin, server).well().picture("desk-en-light")
    open_object(lin, "1.pdf")
    assert "needs the tenant's consent" in lin.find("#failure").text
    record = int(lin.find("#refusal-record").text)
    lin.well().picture("refused-en-light")
    lin.fill(minutes="30", uses="2", reason="The file opens blank for the customer").press("#ask")
    lin.well()

    login_tenant(li, server).well().picture("overview-en-light")
    li.go("/console/consent")
    grant = re.search(r"G-[a-z0-9]{12}", li.driver.page_source).group(0)
    assert "The file opens blank" in li.text and "acme-invoices/invoices/2026-11/1.pdf" in li.text
    assert server.operator()["id"] not in li.text, "a tenant sees the pseudonym only"
    li.well().picture("consent-en-light")
    li.press(f"#approve-{grant}").well()
    assert li.there(f"#revoke-{grant}")

    open_object(lin, "1.pdf")
    assert b"48,000.00" in lin.downloaded()
    open_object(lin, "2.pdf")
    assert "none was asked for" in lin.find("#failure").text

    li.go("/console/consent").press(f"#revoke-{grant}").well()
    open_object(lin, "1.pdf")
    assert "revoked" in lin.find("#failure").text

    li.go("/console/trail").well().picture("trail-en-light")
    text = li.text
    assert "Done" in text and "Refused" in text and grant in li.driver.page_source
    assert li.find("#checkpoint").text
    li.go(f"/console/trail/{record}").well()
    assert "GetObject" in li.text
    li.press("form[action='/logout']")
    li.go("/console/trail")
    assert "/login" in li.driver.current_url


@pytest.mark.parametrize("lang, theme", [("zh", "light"), ("en", "dark"), ("zh", "dark")])
def test_each_page_in_both_languages_and_themes(server, open_browser, lang, theme):
    browser = open_browser()
    browser.go(f"/?lang={lang}&theme={theme}").well().picture(f"portal-{lang}-{theme}")
    assert browser.find("html").get_attribute("lang").startswith(lang)
    for page in ("faq", "verify", "login"):
        browser.go(f"/{page}").well().picture(f"{page}-{lang}-{theme}")
        has_chinese = re.search(r"[\u4e00-\u9fff]", browser.find("main").text) is not None
        assert has_chinese == (lang == "zh"), page
    login_tenant(browser, server)
    for page in ("", "trail", "consent", "data", "keys", "places", "tickets"):
        browser.go("/console/" + page if page else "/console").well().picture(f"console-{page or 'home'}-{lang}-{theme}")
        assert (re.search(r"[\u4e00-\u9fff]", browser.find("h1").text) is not None) == (lang == "zh"), page
    background = browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    light = sum(int(n) for n in re.findall(r"\d+", background)[:3]) > 380
    assert light == (theme == "light"), background


def test_switches_stand_on_each_page_and_are_remembered(server, open_browser):
    browser = open_browser()
    browser.go("/")
    browser.find("#switch-lang").click()
    WebDriverWait(browser.driver, 20).until(lambda d: browser.find("html").get_attribute("lang").startswith("zh"))
    browser.go("/faq")
    assert browser.find("html").get_attribute("lang").startswith("zh")


def test_every_page_fits_a_narrow_screen(server, open_browser):
    browser = open_browser(width=400)
    for page in ("", "faq", "verify", "login"):
        browser.go("/" + page).well().picture(f"narrow-{page or 'portal'}")
    login_tenant(browser, server)
    for page in ("", "/trail", "/consent", "/data", "/data/acme-invoices", "/destructions", "/places?basis=cn-38-3", "/tickets"):
        browser.go("/console" + page).well().picture(f"narrow-console{page.partition('?')[0].replace('/', '-')}")
    browser.press("form[action='/logout']")
    login_operator(browser, server).well().picture("narrow-desk")


def test_keys_alone_reach_and_press_everything_on_the_login_page(server, open_browser):
    from selenium.webdriver.common.keys import Keys

    browser = open_browser()
    user = server.tenant()["user"]
    browser.go("/login").fill(tenant="acme", user=user["name"], tenant_password=user["password"])
    before = browser.find("html")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    WebDriverWait(browser.driver, 20).until(lambda d: is_gone(before))
    assert "/console" in browser.driver.current_url
    browser.driver.switch_to.active_element.send_keys(Keys.TAB)
    outline = browser.driver.execute_script(
        "const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.boxShadow")
    assert not outline.startswith("none") or "none" not in outline[4:], "the focus can be seen"
