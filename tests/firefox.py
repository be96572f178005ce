"""Firefox for the tests, driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi), which it speaks
without a driver program. A page has the few methods of Playwright's that tests for every browser use."""
import base64, json, os, signal, subprocess, time
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from websockets.sync.client import connect

# nothing but this machine can be reached, and the browser asks for nothing by itself
DEAD = "127.0.0.1"
PREFERENCES = {"network.proxy.type": 1, "network.proxy.failover_direct": False, "network.dns.disabled": True,
    **{f"network.proxy.{kind}": DEAD for kind in ("http", "ssl", "socks")},
    **{f"network.proxy.{kind}_port": 9 for kind in ("http", "ssl", "socks")}, # nobody listens there
    "network.proxy.allow_hijacking_localhost": True, "app.update.auto": False,
    "app.normandy.enabled": False, "browser.newtab.preload": False,
    "browser.safebrowsing.malware.enabled": False, "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore", "datareporting.policy.dataSubmissionEnabled": False,
    "dom.ipc.processPrelaunch.enabled": False, "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,none", "toolkit.telemetry.enabled": False}

KEYS = {name: chr(code) for name, code in {"Shift": 0xe008, "Control": 0xe009, "Alt": 0xe00a, "Enter": 0xe007,
    "Escape": 0xe00c, "Tab": 0xe004, "Backspace": 0xe003, "Delete": 0xe017, "Home": 0xe011, "End": 0xe010,
    "ArrowLeft": 0xe012, "ArrowUp": 0xe013, "ArrowRight": 0xe014, "ArrowDown": 0xe015}.items()}

class FirefoxError(Exception):
    "What the browser or the page's own code says went wrong."

class Firefox:
    "A headless Firefox with a profile of its own."
    def __init__(self, path:str, profile:Path, patience:float): # patience: seconds
        self.patience, self.numbers, self.pages = patience, count(1), {}
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});"
            for name, value in PREFERENCES.items())
        (profile/"user.js").write_text("\n".join(lines))
        self.process = subprocess.Popen([path, "--headless", "--no-remote", "--profile", str(profile),
            "--remote-debugging-port=0", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "MOZ_CRASHREPORTER_DISABLE": "1"}, start_new_session=True)
        told, end = profile/"WebDriverBiDiServer.json", time.monotonic() + patience
        while not told.exists():
            if self.process.poll() is not None: raise FirefoxError("Firefox ended as soon as it was started")
            if time.monotonic() > end: raise FirefoxError(f"Firefox did not listen within {patience:.0f} s")
            time.sleep(0.1)
        where = json.loads(told.read_text())
        self.opened = ExitStack()
        self.socket = self.opened.enter_context(connect(
            f"ws://{where['ws_host']}:{where['ws_port']}/session", max_size=None, compression=None,
            ping_interval=None, open_timeout=patience))
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])

    def ask(self, method:str, **params)->dict: # the result
        "Send a command, and wait for its answer; events that come before it are kept with their pages."
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = json.loads(self.socket.recv(timeout=self.patience))
            if said.get("type") == "event": self.hear(said["method"], said["params"])
            elif said.get("id") == number:
                if said["type"] == "success": return said["result"]
                raise FirefoxError(f"{method}: {said['error']}: {said['message']}")

    def hear(self, method, params):
        place = params["source"] if method == "log.entryAdded" else params
        page = self.pages.get(place.get("context"))
        if not page: return
        if method == "log.entryAdded": page.wrong.append(params["text"])
        else: page.requests.append(params["request"]["url"])

    def new_page(self, width:int, height:int)->"Page":
        context = self.ask("browsingContext.create", type="tab")["context"]
        page = self.pages[context] = Page(self, context)
        self.ask("browsingContext.setViewport", context=context, viewport={"width": width, "height": height})
        return page

    def close(self):
        try: self.ask("browser.close")
        except Exception: pass # it may be gone before it answers
        self.opened.close()
        try: self.process.wait(10)
        except subprocess.TimeoutExpired: os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

class Page:
    "A tab: what it asked for (`requests`), and what its console and its scripts said (`wrong`)."
    def __init__(self, browser:Firefox, context:str):
        self.browser, self.context, self.requests, self.wrong = browser, context, [], []
        self.keyboard = self # as Playwright has it: page.keyboard.press

    def goto(self, url:str):
        self.browser.ask("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def evaluate(self, function:str, arg=None): # what the function returns, as JSON holds it
        "Call a function in the page, and wait for its promise."
        code = f"async (text) => JSON.stringify(await ({function})(JSON.parse(text)))"
        found = self.browser.ask("script.callFunction", functionDeclaration=code, awaitPromise=True,
            target={"context": self.context}, arguments=[{"type": "string", "value": json.dumps(arg)}])
        if found["type"] == "exception": raise FirefoxError(found["exceptionDetails"]["text"])
        return json.loads(found["result"].get("value", "null"))

    def wait_for_function(self, function:str, arg=None):
        end = time.monotonic() + self.browser.patience
        while not self.evaluate(function, arg):
            if time.monotonic() > end: raise FirefoxError(f"this did not become true: {function}")
            time.sleep(0.02)

    def press(self, keys:str): # such as Shift+ArrowRight
        values = [KEYS.get(key, key) for key in keys.split("+")]
        actions = [{"type": "keyDown", "value": value} for value in values]
        actions += [{"type": "keyUp", "value": value} for value in reversed(values)]
        self.browser.ask("input.performActions", context=self.context,
            actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def screenshot(self, path:Path):
        found = self.browser.ask("browsingContext.captureScreenshot", context=self.context, origin="document")
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self):
        self.browser.ask("browsingContext.close", context=self.context)
        self.browser.pages.pop(self.context)
