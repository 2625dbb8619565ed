import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import puppeteer, { type Browser, type Page } from 'puppeteer';
import { findChromium } from '../../src/node/chromium.ts';
import { serveDemo } from './site.ts';

/** The longest that one step may take on a software adapter beside other work. */
export const WAIT = 180_000;

/** How to start a browser; null, with a printed count, where there is none and none is required. */
export async function chromiumFor(tests: number) {
  const chromium = await findChromium();
  if (!chromium) {
    if (process.env.LLOYD_ADAPTER_REQUIRED)
      throw new Error('no Chromium found, and LLOYD_ADAPTER_REQUIRED is set');
    console.log(`${tests} skipped: no Chromium found`);
  }
  return chromium;
}

/** A browser, the built page, and what the console said. */
export interface Stage {
  url: string;
  served: string[];
  browser: Browser;
  complaints: string[];
  /** Opens the page and waits until its panels stand. */
  open(search: string): Promise<Page>;
  close(): Promise<void>;
}

export async function openStage(
  { executablePath, args, env }: NonNullable<Awaited<ReturnType<typeof findChromium>>>,
  folder: string,
): Promise<Stage> {
  const site = await serveDemo(folder);
  const browser = await puppeteer.launch({
    executablePath,
    args,
    env,
    headless: true,
    protocolTimeout: WAIT,
  });
  const complaints: string[] = [];
  return {
    url: site.url,
    served: site.served,
    browser,
    complaints,
    async open(search) {
      const page = await browser.newPage();
      page.setDefaultTimeout(WAIT);
      await page.setViewport({ width: 1440, height: 900 });
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(String(error)));
      await page.goto(new URL(search, site.url).href);
      await page
        .waitForSelector('#tab-compare, #notice:not([hidden])', { timeout: 60_000 })
        .catch((error: unknown) => void complaints.push(String(error)));
      if (!(await page.$('#tab-compare'))) {
        const shown = await page.$eval('body', (element) => element.textContent);
        throw new Error(`the page did not start: ${shown} ${complaints.join('; ')}`);
      }
      return page;
    },
    async close() {
      await browser.close();
      site.close();
    },
  };
}

export const textOf = (page: Page, selector: string) =>
  page.$eval(selector, (element) => element.textContent ?? '');

/** Waits until a status line of a panel matches, and returns that line. */
export async function statusOf(page: Page, panel: string, pattern: RegExp): Promise<string> {
  const found = await page.waitForFunction(
    (selector: string, source: string) =>
      [...document.querySelectorAll(selector)]
        .map((element) => element.textContent ?? '')
        .find((line) => new RegExp(source).test(line)),
    { timeout: WAIT, polling: 100 },
    `#panel-${panel} [role=status]`,
    pattern.source,
  );
  return (await found.jsonValue()) as string;
}

/** Ticks exactly these precisions; fp32 always runs. */
export function pickRows(page: Page, rows: readonly string[]): Promise<void> {
  return page.$$eval(
    '#panel-compare input[name=row]:not(:disabled)',
    (boxes, wanted) => {
      for (const box of boxes as HTMLInputElement[])
        if (box.checked !== wanted.includes(box.value)) box.click();
    },
    [...rows],
  );
}

/** What axe finds of the page as it stands, of serious and critical faults. */
export async function seriousFaults(page: Page): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in globalThis)))
    await page.evaluate(
      await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'),
    );
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
  });
}

/** Drops files on a drop zone, as the page sees it. */
export function dropFile(
  page: Page,
  zone: string,
  ...files: { name: string; type: string; bytes: Uint8Array }[]
): Promise<void> {
  return page.evaluate(
    (selector, all) => {
      const dataTransfer = new DataTransfer();
      for (const { name, type, base64 } of all) {
        const data = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        dataTransfer.items.add(new File([data], name, { type }));
      }
      document
        .querySelector(selector)!
        .dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
    },
    zone,
    files.map(({ name, type, bytes }) => ({ name, type, base64: Buffer.from(bytes).toString('base64') })),
  );
}
