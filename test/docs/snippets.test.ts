// The README's snippets as a stranger pastes them: into a strict Vite app that Chromium runs, into a file for Node, and
// into a page with an import map; beside the package as npm packs it.
import { spawn, spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import puppeteer, { type Browser } from 'puppeteer';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumFor, WAIT } from '../browser/demo-page.ts';
import { type Consumer, installPacked, isBuilt } from '../support/packed.ts';

const root = join(import.meta.dirname, '../..');
const readme = await readFile(join(root, 'README.md'), 'utf8');
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, code]) => code);
const [page] = blocks('html');

/** What each snippet prints, in the README's order. */
const PRINTED = [
  /found 16 values for 4096 weights\n0\.6700948476791382 stands for 0\.5958232283592224 ; squared error 4\.5747/,
  /-7, ?3, ?3, ?13/,
  /0\.5714117884635925 stands for 0\.5958232283592224 in the row of scale 0\.14285294711589813/,
  /1, ?32, ?32, ?8\b.*-1,\s*4,\s*-3,\s*3,\s*8,\s*1,\s*6,\s*-1\b/s,
  /1, ?2, ?1, ?1\b.*\b0\.1869560033082962, ?-0\.0584896095097065\b.* \d{3,4} bytes of QDQ/,
  /int8 .*-7, ?3, ?3, ?13/,
  /^\d+\.\d+ \d+ layers at 2 bits/,
  /Transpose\W+Conv\W+Transpose\W+Relu\W+Flatten\W+MatMul\W+Add/,
];
const snippets = blocks('ts').map((code, index) => ({
  code,
  name: `${index + 1}: ${/^\/\/ .*$|^const .*$/m.exec(code)?.[0]}`,
  printed: PRINTED[index],
  needsNode: /from '(lloyd\/node|node:)/.test(code),
}));
const web = snippets.filter(({ needsNode }) => !needsNode);

/** As `npm create vite` writes it for TypeScript. */
const VITE_TSCONFIG = {
  compilerOptions: {
    target: 'es2023',
    module: 'esnext',
    lib: ['ES2023', 'DOM'],
    types: ['vite/client'],
    skipLibCheck: true,
    moduleResolution: 'bundler',
    allowImportingTsExtensions: true,
    verbatimModuleSyntax: true,
    moduleDetection: 'force',
    noEmit: true,
    strict: true,
    noUnusedLocals: true,
    noUnusedParameters: true,
    erasableSyntaxOnly: true,
    noFallthroughCasesInSwitch: true,
  },
  include: ['src'],
};
const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
};

const total = 2 * snippets.length + 3;
if (!isBuilt) console.log(`snippets.test.ts: dist is not built; ${total} tests skipped (npm run build)`);
const chromium = isBuilt ? await chromiumFor(web.length + 1) : null;

test('each snippet is told what it prints', () => expect(snippets.length).toBe(PRINTED.length));

describe.skipIf(!isBuilt)('snippets', { timeout: WAIT }, () => {
  let consumer: Consumer;
  let server: Server;
  let browser: Browser | undefined;
  beforeAll(async () => {
    consumer = await installPacked(['webgpu', '@sparticuz/chromium', '@tensorflow', 'vite']);
    server = await serve(consumer.folder);
    if (chromium) {
      const { executablePath, args, env } = chromium;
      browser = await puppeteer.launch({ executablePath, args, env, headless: true, protocolTimeout: WAIT });
    }
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
    await consumer?.remove();
  });

  describe('in a file for Node', () => {
    test.each(snippets)('$name', async ({ code, printed, name }) => {
      const file = join(consumer.folder, `${name.split(':')[0]}.mjs`);
      await writeFile(file, code);
      const { status, stdout, stderr } = await ran(file, consumer.folder);
      expect(status, stderr).toBe(0);
      expect(stdout).toMatch(printed);
    });
  });

  describe('in a Vite app', () => {
    beforeAll(async () => {
      await mkdir(join(consumer.folder, 'src'));
      await writeFile(join(consumer.folder, 'tsconfig.json'), JSON.stringify(VITE_TSCONFIG));
      for (const { name, code } of web) {
        const stem = name.split(':')[0];
        await writeFile(join(consumer.folder, `src/${stem}.ts`), code);
        await writeFile(join(consumer.folder, `${stem}.html`), pageOf(`./src/${stem}.ts`));
      }
      if (!chromium) return;
      const input = web.map(({ name }) => join(consumer.folder, `${name.split(':')[0]}.html`));
      await build({
        root: consumer.folder,
        base: './',
        configFile: false,
        mode: 'production',
        logLevel: 'error',
        build: { rolldownOptions: { input }, chunkSizeWarningLimit: 1e5 },
      });
    });

    test('they are strict TypeScript', () => {
      const compiler = join(root, 'node_modules/typescript/bin/tsc');
      const { stdout } = spawnSync(process.execPath, [compiler, '-p', consumer.folder], {
        cwd: consumer.folder,
        encoding: 'utf8',
      });
      expect(stdout).toBe('');
    });

    describe.skipIf(!chromium)('in Chromium', () => {
      test.each(web)('$name', async ({ name, printed }) => {
        const said = await opened(`dist/${name.split(':')[0]}.html`);
        expect(said).toMatch(printed);
      });

      test('the page with an import map says what its comment says', async () => {
        await writeFile(join(consumer.folder, 'page.html'), `<!doctype html><body>\n${page}</body>`);
        const tab = await browser!.newPage();
        const complaints: string[] = [];
        tab.on('pageerror', (error) => complaints.push(String(error)));
        await tab.goto(address('page.html'));
        const said = /document\.body\.append.*\/\/ (.*)$/m.exec(page)![1];
        const shown = () => tab.evaluate(() => document.body.innerText);
        await expect.poll(shown, { timeout: 60_000, message: complaints.join('\n') }).toContain(said);
        const mapped = [...page.matchAll(/"(lloyd[\w/]*)": /g)].map(([, specifier]) => specifier);
        // As text: the test runner would make its own of an import().
        const names = JSON.stringify(mapped);
        const counts = `Promise.all(${names}.map(async (name) => Object.keys(await import(name)).length))`;
        const loaded = (await tab.evaluate(counts)) as number[];
        expect(loaded.length).toBeGreaterThan(3);
        expect(loaded.every((count) => count > 5)).toBe(true);
        expect(complaints).toEqual([]);
      });
    });
  });

  const address = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`;

  /** What a page's script logs, once it has ended. */
  async function opened(path: string): Promise<string> {
    const tab = await browser!.newPage();
    tab.setDefaultTimeout(WAIT);
    await tab.goto(address(path));
    const ended = await tab.waitForFunction(() => (globalThis as unknown as { ended?: Ended }).ended);
    const { error, lines } = (await ended.jsonValue())!;
    expect(error).toBeNull();
    await tab.close();
    return lines.join('\n');
  }
});

/** What a page's script came to. */
interface Ended {
  error: string | null;
  lines: string[];
}

/** A page that runs a module and keeps what it logs. */
const pageOf = (script: string) => `<!doctype html>
<script>
  var lines = [];
  console.log = (...values) => lines.push(values.map((each) => (ArrayBuffer.isView(each) ? [...each].join() : String(each))).join(' '));
</script>
<script type="module">
  let error = null;
  await import('${script}').catch((thrown) => { error = String(thrown?.stack ?? thrown); });
  globalThis.ended = { error, lines };
</script>`;

/** A script in a Node of its own, without the variables that a test runner sets. */
function ran(file: string, cwd: string): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([key]) => !/^(VITEST|NODE_ENV|NODE_OPTIONS)/.test(key)),
  );
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], { cwd, env });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => (stdout += text));
    child.stderr.on('data', (text) => (stderr += text));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** A folder's files, on this machine only. */
async function serve(folder: string): Promise<Server> {
  const made = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    try {
      const body = await readFile(join(folder, path));
      response.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream');
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    made.once('error', reject);
    made.listen(0, '127.0.0.1', resolve);
  });
  return made;
}
