// What the page may do, as a content security policy: code, data and images of its own origin, and nothing else.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PAGES = ['index.html', 'embed/index.html'];

/**
 * Sends the policy with every response of the development and preview servers, and writes it into the built pages,
 * whose server is somebody else's.
 */
export function contentSecurityPolicy() {
  let root;
  return {
    name: 'lloyd-content-security-policy',
    configResolved(config) {
      root = config.root;
    },
    // Vite's own client styles the page by inline sheets and listens on a socket.
    configureServer: ({ middlewares }) => void middlewares.use(sending(() => inlineScripts(root), true)),
    configurePreviewServer: ({ middlewares }) =>
      void middlewares.use(sending(() => inlineScripts(root), false)),
    transformIndexHtml: {
      order: 'post',
      handler(html, { server }) {
        if (server) return html;
        const content = policy(scriptsOf(html), false);
        return {
          html,
          // Before anything that it governs.
          tags: [
            {
              tag: 'meta',
              attrs: { 'http-equiv': 'Content-Security-Policy', content },
              injectTo: 'head-prepend',
            },
          ],
        };
      },
    },
  };
}

/** The policy; `scripts` are the texts of inline scripts, allowed by what they say. */
export function policy(scripts, development) {
  const hashes = scripts.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`);
  const directives = {
    'default-src': ["'none'"],
    'script-src': ["'self'", ...hashes],
    'style-src': ["'self'", ...(development ? ["'unsafe-inline'"] : [])],
    'img-src': ["'self'", 'data:', 'blob:'],
    // A result to be saved is a blob of the page's own.
    'connect-src': ["'self'", 'blob:', ...(development ? ['ws:'] : [])],
    'worker-src': ["'self'"],
    'base-uri': ["'none'"],
    'form-action': ["'none'"],
  };
  return Object.entries(directives)
    .map(([name, sources]) => `${name} ${sources.join(' ')}`)
    .join('; ');
}

function sending(scripts, development) {
  return (_, response, next) => {
    response.setHeader('content-security-policy', policy(scripts(), development));
    response.setHeader('x-content-type-options', 'nosniff');
    next();
  };
}

/** Of the sources: the servers send the pages' inline scripts as they are. */
const inlineScripts = (root) =>
  PAGES.flatMap((page) => scriptsOf(readFileSync(fileURLToPath(new URL(page, `file://${root}/`)), 'utf8')));

/** The texts between script tags without attributes. */
const scriptsOf = (html) => Array.from(html.matchAll(/<script>([\s\S]*?)<\/script>/g), ([, text]) => text);
