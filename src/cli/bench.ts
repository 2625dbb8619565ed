import { LloydError } from '../gpu/errors.ts';
import type { Context } from './command.ts';
import { text } from './options.ts';
import { tuning } from './tuning.ts';

// `--compare A.json B.json` arrives as the option A.json and the filter B.json.
/** `lloyd bench`: times the kernels and the model on this adapter, beside other libraries on request. */
export async function run(context: Context): Promise<void> {
  const { options, print, signal } = context;
  const filter = context.args[0];
  // The cases and their peers load only when they are asked for: they are most of this program.
  const { compareFiles, resultsPath, runBench, writeResults } = await import('../../bench/main.ts');
  const before = text(options.compare);
  if (before !== undefined) {
    if (filter === undefined) {
      throw new LloydError(
        '--compare takes two results files',
        before,
        'lloyd bench --compare BEFORE.json AFTER.json',
      );
    }
    for (const line of await compareFiles(before, filter)) print(line);
    return;
  }
  const gpuReport = options.gpuReport === true;
  const results = await runBench(await context.runtime(), {
    filter,
    peers: options.peers === true,
    quick: options.quick === true,
    small: options.small === true,
    gpuReport,
    tune: tuning(context),
    print,
    signal,
  });
  if (gpuReport && options.json === undefined && options.small !== true) {
    const path = await resultsPath(results);
    await writeResults(path, results);
    context.note(`written to ${path}`);
  }
  await context.writeJson(results);
}
