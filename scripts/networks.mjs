// npm run networks -- [filter] [--json FILE] [--scan [package@version ...]]: without arguments into bench/results, and from
// there into the README.
import { spawnSync } from 'node:child_process';
import { runBundled } from './bundled.mjs';
import { root } from './package.mjs';

const status = await runBundled('bench/networks/main.ts');
if (status === 0 && process.argv.length === 2)
  spawnSync(process.execPath, [`${root}/scripts/readme.mjs`], { cwd: root, stdio: 'inherit' });
process.exit(status);
