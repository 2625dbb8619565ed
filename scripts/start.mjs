// npm start -- ARGS: builds what is stale, then runs `lloyd compare ARGS`.
import { spawn } from 'node:child_process';
import { isStale, root } from './package.mjs';

if (isStale()) {
  console.error('building dist (first run, or the sources are newer) ...');
  const status = await run([`${root}/scripts/build.mjs`, '--js']);
  if (status !== 0) process.exit(status);
}
process.exit(await run([`${root}/dist/cli.js`, 'compare', ...process.argv.slice(2)]));

function run(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: 'inherit' });
    // Ctrl-C reaches the child by the terminal too, SIGTERM only here; it cleans up, and this waits for it.
    const ignore = () => {};
    const pass = () => child.kill('SIGTERM');
    process.on('SIGINT', ignore);
    process.on('SIGTERM', pass);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', ignore);
      process.off('SIGTERM', pass);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}
