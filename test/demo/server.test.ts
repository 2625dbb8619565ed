// The page's own servers: what they answer to requests that are none, and what they let the page do.
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { build, createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lineOf } from '../../demo/package-line.mjs';

const packageJson = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'));
const root = join(import.meta.dirname, '../..');
const configFile = join(root, 'demo/vite.config.mjs');
let server: ViteDevServer;
let port = 0;
beforeAll(async () => {
  server = await createServer({ configFile, logLevel: 'silent', server: { port: 0, host: '127.0.0.1' } });
  await server.listen();
  const address = server.httpServer!.address();
  port = typeof address === 'object' && address ? address.port : 0;
});
afterAll(() => server?.close());

/** A request line as it is, which no client would send; the status of the answer. */
function ask(path: string): Promise<{ status: number; headers: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/html\r\nConnection: close\r\n\r\n`,
      ),
    );
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
      const [headers] = said.split('\r\n\r\n');
      if (!said.includes('\r\n\r\n')) return;
      socket.destroy();
      resolve({ status: Number(headers.split(' ')[1]), headers: headers.toLowerCase() });
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`no answer to ${path}`)));
  });
}

describe('npm run demo', () => {
  test('answers what is no path, and lives', async () => {
    for (const path of ['/%', '/%zz?a=b', '/weights/%ff.safetensors', '/%00', '/a%'])
      expect([path, (await ask(path)).status]).toEqual([path, 400]);
    for (const path of [
      '//',
      '*',
      '/..%2f..%2fetc/passwd',
      '/weights/..%2fpackage.json.safetensors',
      '/weights/none.safetensors',
      '/?%',
    ])
      expect((await ask(path)).status, path).toBeLessThan(500);
    expect((await ask('/weights/..%2f..%2fvgg.safetensors')).status).toBe(404);
    expect((await ask('/')).status).toBe(200);
  });

  test('sends a policy that allows the page’s own inline script and no other', async () => {
    for (const path of ['/', '/embed/']) {
      const { status, headers } = await ask(path);
      expect(status).toBe(200);
      expect(headers).toMatch(/content-security-policy: default-src 'none'; script-src 'self' 'sha256-/);
      expect(headers).not.toMatch(/script-src [^;]*unsafe/);
    }
    const response = await fetch(`http://127.0.0.1:${port}/`);
    const policy = response.headers.get('content-security-policy') ?? '';
    const inline = [...(await response.text()).matchAll(/<script>([\s\S]*?)<\/script>/g)];
    expect(inline).toHaveLength(1);
    for (const [, text] of inline) {
      expect(policy).toContain(`'sha256-${createHash('sha256').update(text).digest('base64')}'`);
    }
  });
});

describe('npm run demo:build', () => {
  test('writes the policy into each page, before all it governs', async () => {
    const output = join(root, 'test/output');
    await mkdir(output, { recursive: true });
    const outDir = await mkdtemp(join(output, 'policy-'));
    try {
      await build({ configFile, mode: 'production', logLevel: 'silent', build: { outDir } });
      for (const page of ['index.html', 'embed/index.html']) {
        const html = await readFile(join(outDir, page), 'utf8');
        const at = html.indexOf('<meta http-equiv="Content-Security-Policy"');
        expect(at).toBeGreaterThan(0);
        expect(html.search(/<script|<link|<style/)).toBeGreaterThan(at);
        const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)![1];
        expect(policy).not.toMatch(/unsafe|ws:/);
        for (const [, text] of html.matchAll(/<script>([\s\S]*?)<\/script>/g)) {
          expect(policy).toContain(createHash('sha256').update(text).digest('base64'));
        }
        expect(html).not.toMatch(/ on\w+=|<style|style="/);
      }
      expect(await readFile(join(outDir, 'index.html'), 'utf8')).toContain(lineOf(packageJson));
      expect(await readdir(outDir)).toContain('data');
    } finally {
      await rm(outDir, { recursive: true, force: true });
    }
  });
});

describe('the line on how to get it', () => {
  const own = { name: 'lloyd', version: '1.2.3' };
  test('names the tarball that npm pack makes', () => {
    expect(lineOf(own)).toContain('<code>npm install ../lloyd/lloyd-1.2.3.tgz</code>');
    expect(lineOf(own)).not.toContain('<a ');
  });

  test.each([
    ['git+https://example.org/a/b.git'],
    ['https://example.org/a/b'],
    [{ type: 'git', url: 'git+https://example.org/a/b.git' }],
  ])('links to the repository that package.json names: %j', (repository) => {
    expect(lineOf({ ...own, repository })).toContain('<a href="https://example.org/a/b">example.org/a/b</a>');
  });

  test.each([['owner/name'], ['github:owner/name']])('links to GitHub for %s', (repository) => {
    expect(lineOf({ ...own, repository })).toContain('href="https://github.com/owner/name"');
  });

  test.each([['javascript:alert(1)'], ['https://x.org/"><script>'], ['ssh://git@x.org/a.git']])(
    'makes no link of %s',
    (repository) => expect(lineOf({ ...own, repository })).not.toContain('<a '),
  );
});
