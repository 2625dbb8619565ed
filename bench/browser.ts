import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { findCommit, findPackageRoot } from '../src/cli/files.ts';
import { check, LloydError } from '../src/gpu/errors.ts';
import { cacheFolder, inTemporaryFolder } from '../src/node/cache.ts';
import { findChromium } from '../src/node/chromium.ts';
import { benchImages } from './node.ts';
import type { Entry, Refusal, Results, Size } from './types.ts';

/** What the page is asked to run. */
export interface PageRequest {
  size: Size;
  filter?: string;
}

/** What it sends back: all that it can know. */
export type PageResults = Omit<Results, 'commit' | 'date' | 'platform' | 'images'>;

export interface BrowserOptions extends PageRequest {
  onEntry?(entry: Entry): void;
  onRefusal?(refusal: Refusal): void;
  /** After every entry and refusal, all there is so far. */
  keep?(results: Results): Promise<void>;
}

/**
 * Runs the cases in a headless Chromium, in the results format of `lloyd bench`.
 *
 * @returns null where there is no Chromium
 */
export async function benchInBrowser(options: BrowserOptions): Promise<Results | null> {
  const chromium = await findChromium();
  if (!chromium) return null;
  const server = await serve(await inTemporaryFolder(cacheFolder(), bundlePage));
  try {
    const { port } = server.address() as AddressInfo;
    const { launch } = await import('puppeteer');
    const { executablePath, args, env } = chromium;
    // Two minutes of one case are silence to Puppeteer's default timeout.
    const browser = await launch({ executablePath, args, env, headless: true, protocolTimeout: 0 });
    try {
      const page = await browser.newPage();
      page.on('pageerror', (error) =>
        console.error(`the page: ${error instanceof Error ? error.message : error}`),
      );
      const description = {
        commit: (await findCommit()) ?? 'unknown',
        date: new Date().toISOString(),
        platform: await browser.version(),
        images: (await benchImages(1)).source,
      };
      await page.exposeFunction('report', async (line: string) => {
        const { entry, refusal, sofar } = JSON.parse(line);
        if (entry) options.onEntry?.(entry);
        if (refusal) options.onRefusal?.(refusal);
        await options.keep?.({ ...description, ...sofar });
      });
      await page.goto(`http://127.0.0.1:${port}/`);
      const request: PageRequest = { size: options.size, filter: options.filter };
      const results = (await page.evaluate(
        (asked) =>
          (globalThis as unknown as { runBench(request: PageRequest): Promise<PageResults> }).runBench(asked),
        request,
      )) as PageResults;
      return { ...description, ...results };
    } finally {
      await browser.close();
    }
  } finally {
    server.close();
  }
}

/** The page's script as one file, with the browser's way to a device. */
async function bundlePage(folder: string): Promise<string> {
  const { build } = await import('vite');
  const root = await findPackageRoot();
  await build({
    root,
    configFile: false,
    logLevel: 'warn',
    publicDir: false,
    resolve: { alias: { '#default-device': join(root, 'src/gpu/default-device.ts') } },
    build: {
      target: 'es2023',
      outDir: folder,
      emptyOutDir: false,
      minify: false,
      lib: { entry: join(root, 'bench/page.ts'), formats: ['es'], fileName: () => 'page.js' },
    },
  });
  return readFile(join(folder, 'page.js'), 'utf8');
}

const PAGE =
  '<!doctype html><meta charset="utf-8"><title>lloyd bench</title><script type="module" src="/page.js"></script>';

/** Its one script and what that fetches, both from here. */
const POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'";

async function serve(script: string): Promise<Server> {
  const weights = join(await findPackageRoot(), 'weights', 'vgg-cifar10.safetensors');
  const server = createServer(async (request, response) => {
    response.setHeader('content-security-policy', POLICY);
    const send = (type: string, body: string | Uint8Array) =>
      response.setHeader('content-type', type).end(body);
    try {
      // `//` is no URL, and throws.
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
      if (pathname === '/') send('text/html', PAGE);
      else if (pathname === '/page.js') send('text/javascript', script);
      else if (pathname === '/weights.safetensors') send('application/octet-stream', await readFile(weights));
      else if (pathname === '/images') {
        const count = Number(searchParams.get('count'));
        check(
          Number.isInteger(count) && count > 0 && count <= 10_000,
          'count must be from 1 to 10000',
          count,
        );
        send('application/octet-stream', (await benchImages(count)).images);
      } else response.writeHead(404).end();
    } catch (error) {
      response.writeHead(500).end((error as Error).message);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new LloydError('the page needs a free local port', cause.message)),
    );
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}
