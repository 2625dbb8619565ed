// npm start -- ARGS: builds what is stale, then runs `lloyd compare ARGS`; without any it ends with what to try next.
import { spawn } from 'node:child_process';
import { isStale, root } from './package.mjs';
import { withoutDawnsWarnings } from './quiet.mjs';

const NEXT = `
next:
  npm run demo                       the page: each precision in a tab, and a network of your own
  npx lloyd check MODEL.onnx         what of your network runs on the GPU, and in which dtype
  npx lloyd quantize MODEL.onnx --method kmeans --bits 4 -o SMALL.onnx
  npx lloyd compare --images 1000    these figures on more images; --help tells more
`;

if (isStale()) {
  console.error('building dist (first run, or the sources are newer) ...');
  const status = await run([`${root}/scripts/build.mjs`, '--js'], 'inherit');
  if (status !== 0) process.exit(status);
}
const args = process.argv.slice(2);
const status = await run([`${root}/dist/cli.js`, 'compare', ...args], 'pipe');
if (status === 0 && args.length === 0) process.stdout.write(NEXT);
process.exitCode = status;

function run(args, errors) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['inherit', 'inherit', errors] });
    child.stderr?.setEncoding('utf8').pipe(withoutDawnsWarnings()).pipe(process.stderr, { end: false });
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
