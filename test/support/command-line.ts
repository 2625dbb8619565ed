import { vi } from 'vitest';
import { runCli } from '../../src/cli/main.ts';

/** Runs a command line and gathers what it says. */
export async function lloyd(...argv: string[]) {
  let out = '';
  let err = '';
  const hearing = (hear: (text: string) => void) => (text: unknown) => {
    hear(String(text));
    return true;
  };
  const toOut = hearing((text) => {
    out += text;
  });
  const toErr = hearing((text) => {
    err += text;
  });
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(toOut),
    vi.spyOn(process.stderr, 'write').mockImplementation(toErr),
    vi.spyOn(console, 'info').mockImplementation(toOut),
    vi.spyOn(console, 'log').mockImplementation(toOut),
  ];
  try {
    const code = await runCli(argv);
    return { code, out, err };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
