type Theme = 'light' | 'dark';

const system = matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

/** Runs `draw` whenever the colours change, for what is drawn on a canvas. */
export function onTheme(draw: () => void): void {
  listeners.add(draw);
}

/** A button that switches between light and dark; until it is used the system decides. */
export function themeButton(button: HTMLButtonElement): void {
  const root = document.documentElement;
  const current = (): Theme => (root.dataset.theme as Theme) ?? (system.matches ? 'dark' : 'light');
  const update = () => {
    button.textContent = current() === 'dark' ? 'Light theme' : 'Dark theme';
    for (const draw of listeners) draw();
  };
  button.addEventListener('click', () => {
    root.dataset.theme = current() === 'dark' ? 'light' : 'dark';
    localStorage.setItem('theme', root.dataset.theme);
    update();
  });
  system.addEventListener('change', update);
  update();
}
