"""Chromium without a screen, driven over its own protocol."""

import base64
import json
import shutil
import time

from selenium import webdriver

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)
# The median time from an input event to the frame after it, in milliseconds.
LATENCY = """
const [id, values, done] = [arguments[0], arguments[1], arguments[2]];
const field = document.getElementById(id);
const spent = [];
const next = () => {
  if (!values.length) { spent.sort((a, b) => a - b); done(spent[Math.floor(spent.length / 2)]); return; }
  field.value = values.shift();
  const begin = performance.now();
  field.dispatchEvent(new Event("input", { bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => { spent.push(performance.now() - begin); next(); }));
};
next();
"""


class Browser:
    """One browser; ``script=False`` is one in which somebody has switched JavaScript off."""

    def __init__(self, script=True):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for option in OPTIONS:
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if not script:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(120)
        self.driver.set_script_timeout(120)

    def stop(self):
        """End the browser."""
        self.driver.quit()

    def command(self, name, **arguments):
        """Give a command of the browser's own protocol."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def screen(self, width=1280, height=900, dark=False, mobile=False, paper=False):
        """Set the size of the screen, and what its owner likes."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        liked = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in liked.items()]
        self.command("Emulation.setEmulatedMedia", features=features, media="print" if paper else "")

    def open(self, path):
        """Open a file; what was logged before is forgotten. Returns the seconds until it was loaded."""
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        begin = time.monotonic()
        self.driver.get(path.as_uri())
        return time.monotonic() - begin

    def complaints(self):
        """Return what the browser wrote into its console: errors, and what the policy of the page forbade."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Return the addresses that were asked for since the page was opened."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def run(self, script, *arguments):
        """Return what a script returns within the page."""
        return self.driver.execute_script(script, *arguments)

    def text(self, css):
        """Return the text that can be seen of the first element that a selector finds."""
        return self.driver.find_element("css selector", css).text

    def texts(self, css):
        """Return the texts of all elements that a selector finds and that can be seen."""
        return [item.text for item in self.driver.find_elements("css selector", css) if item.is_displayed()]

    def set(self, name, value):
        """Write into a field, or choose from it, as the page would see it."""
        self.run(
            "const item = document.getElementById(arguments[0]); item.value = arguments[1];"
            "item.dispatchEvent(new Event('input', {bubbles: true}));",
            name,
            value,
        )

    def latency(self, name, values):
        """Return the median of the milliseconds from an input into a field to the frame that shows its effect."""
        return self.driver.execute_async_script(LATENCY, name, list(values))

    def picture(self, path, height=None):
        """Write a picture of the page, from its top: all of it, or so many pixels."""
        width, whole = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": min(whole, height or whole), "scale": 1}
        found = self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))
        return path


WIDTH = "return [document.documentElement.scrollWidth, innerWidth]"
# The contrast of each text with what lies behind it, for all elements that hold text: the worst ones.
CONTRAST = """
const light = (text) => {
  const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const clear = (text) => text === "transparent" || /, 0\\)$/.test(text);
const behind = (item) => {
  while (item && clear(getComputedStyle(item).backgroundColor)) item = item.parentElement;
  return item ? getComputedStyle(item).backgroundColor : "rgb(255, 255, 255)";
};
return [...document.body.querySelectorAll("*")].filter((item) => item.checkVisibility()
  && !["SCRIPT", "TITLE"].includes(item.tagName.toUpperCase())
  && [...item.childNodes].some((node) => node.nodeType === 3 && node.data.trim())).map((item) => {
  const style = getComputedStyle(item);
  const front = light(item.ownerSVGElement ? style.fill : style.color), back = light(behind(item));
  const found = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  return [found, item.textContent.slice(0, 30), item.className.baseVal ?? item.className];
}).filter(([found]) => found < 4.5);
"""
