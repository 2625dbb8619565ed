// npm run docs [-- FOLDER]: the reference as a static site, into docs/dist unless a folder is named.
import { runBundled } from './bundled.mjs';

process.exit(await runBundled('docs/generate/main.ts'));
