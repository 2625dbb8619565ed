import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { build, type Rolldown } from 'vite';
import { expect, test } from 'vitest';
import { findChromium } from '../../src/node/chromium.ts';

const chromium = await findChromium();
if (!chromium) console.log('skipped 1 test: no Chromium on this machine');

interface Page {
  readTuning(): Promise<string | null>;
  writeTuning(text: string): Promise<void>;
}

/** The browser's half of the tuning store as a script that leaves its functions on globalThis. */
async function bundle(): Promise<string> {
  const output = (await build({
    configFile: false,
    logLevel: 'warn',
    build: {
      write: false,
      target: 'es2023',
      lib: {
        entry: join(import.meta.dirname, '../../src/gpu/tuning-text.ts'),
        formats: ['es'],
        fileName: () => 'page.js',
      },
    },
  })) as Rolldown.RolldownOutput[];
  return output[0].output[0].code;
}

test.skipIf(!chromium)(
  'a browser keeps the text over reloads, and forgets it where storage is denied',
  async () => {
    const script = await bundle();
    const server = createServer((request, response) => {
      const isScript = request.url === '/page.js';
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
      const page = `<script type="module">
      import * as store from '/page.js';
      Object.assign(globalThis, store);
    </script>`;
      response.end(isScript ? script : `<!doctype html><title>store</title>${page}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { launch } = await import('puppeteer');
    const { executablePath, args, env } = chromium!;
    const browser = await launch({ executablePath, args, env, headless: true, protocolTimeout: 0 });
    try {
      const page = await browser.newPage();
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const open = async () => {
        await page.goto(url);
        await page.waitForFunction('globalThis.readTuning !== undefined');
      };
      const read = () => page.evaluate(() => (globalThis as unknown as Page).readTuning());
      const write = (text: string) =>
        page.evaluate((written) => (globalThis as unknown as Page).writeTuning(written), text);
      await open();
      expect(await read()).toBeNull();
      await write('first');
      await write('second');
      await open();
      expect(await read()).toBe('second');
      await page.evaluate(() => Object.defineProperty(globalThis, 'indexedDB', { value: undefined }));
      await write('third');
      expect(await read()).toBeNull();
      await open();
      expect(await read()).toBe('second');
    } finally {
      await browser.close();
      server.close();
    }
  },
);
