// Sets light or dark before the first paint. A file of its own, because the
// Content-Security-Policy forbids scripts in the page.
(function () {
  var s = null;
  try {
    s = localStorage.getItem("tw-scheme");
  } catch (e) {
    /* storage is blocked: follow the system */
  }
  if (s !== "light" && s !== "dark") {
    s = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  document.documentElement.setAttribute("data-mantine-color-scheme", s);
})();
