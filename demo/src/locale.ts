// Imported before uPlot, which makes a number format of `navigator.language` while it loads. Chromium started under a
// POSIX locale calls itself `en-US@posix`, which Intl refuses (seen in headless Chromium 147).
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US' });
}
