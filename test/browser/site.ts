import { mkdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Screenshots and the built page; git ignores it. */
export const outputFolder = join(root, 'test/output/demo');

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
};

/** Builds the page and serves it from a sub-path, as a project's page on a shared host would be. */
export async function serveDemo(): Promise<{ url: string; served: string[]; close(): void }> {
  const site = join(outputFolder, 'site');
  await mkdir(outputFolder, { recursive: true });
  await build({
    configFile: join(root, 'demo/vite.config.mjs'),
    // Under a test runner Vite would otherwise take its development mode.
    mode: 'production',
    logLevel: 'warn',
    build: { outDir: site },
  });
  const served: string[] = [];
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (!path.startsWith('/some/sub/path/')) return void response.writeHead(404).end();
    const name = path.slice('/some/sub/path'.length);
    const file = join(site, name.endsWith('/') ? `${name}index.html` : name);
    served.push(name);
    try {
      const body = await readFile(file);
      response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await listen(server);
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/some/sub/path/`, served, close: () => void server.close() };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
}
