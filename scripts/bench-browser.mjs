// npm run bench:browser -- [filter] [--quick] [--json FILE]
import { runBundled } from './bundled.mjs';

process.exit(await runBundled('bench/browser-main.ts'));
