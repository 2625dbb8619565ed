import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LloydError } from '../gpu/errors.ts';
import type { Context } from './command.ts';
import { noteDataSet } from './data.ts';
import { findPackageRoot } from './files.ts';
import type { Ledger, Output } from './ledger.ts';
import { integer, text } from './options.ts';
import { tuning } from './tuning.ts';
import { OWN_WEIGHTS } from './weights.ts';

// `--compare A.json B.json` arrives as the option A.json and the filter B.json.
/** `lloyd bench`: times the kernels and the model on this adapter, beside other libraries on request. */
export async function run(context: Context): Promise<void> {
  const { options, print, signal, files } = context;
  const filter = context.args[0];
  const tune = tuning(context);
  const before = text(options.compare);
  if (before !== undefined && filter === undefined) {
    const cure = 'lloyd bench --compare BEFORE.json AFTER.json';
    throw new LloydError('--compare takes two results files', before, cure);
  }
  // The cases and their peers load only when they are asked for: they are most of this program.
  const { checkFilter, compareFiles, openStored, resultsPath, runBench } = await import(
    '../../bench/main.ts'
  );
  if (before !== undefined && filter !== undefined) {
    await files.reads(before);
    await files.reads(filter);
    for (const line of await compareFiles(before, filter)) print(line);
    return;
  }
  const gpuReport = options.gpuReport === true;
  const asked = {
    filter,
    peers: options.peers === true,
    quick: options.quick === true,
    small: options.small === true,
    gpuReport,
    rounds: integer('--rounds', options.rounds),
    tune,
  };
  checkFilter(asked);
  const against = text(options.against);
  const stored = against === undefined ? undefined : await openStored(against);
  await files.reads(join(await findPackageRoot(), OWN_WEIGHTS));
  await noteDataSet(files);
  const runtime = await context.runtime();
  const recorded = gpuReport && options.json === undefined && options.small !== true;
  const report = recorded
    ? await claimReport(files, await resultsPath({ adapter: runtime.adapter.name }))
    : undefined;
  const results = await runBench(runtime, {
    ...asked,
    before: stored,
    print,
    signal,
    async keep(sofar) {
      const partial = { ...sofar, interrupted: true };
      await report?.write(`${JSON.stringify(partial, null, 2)}\n`);
      await context.keepJson(partial);
    },
  });
  if (report) {
    await report.write(`${JSON.stringify(results, null, 2)}\n`);
    context.note(`written to ${report.path}`);
  }
  await context.writeJson(results);
}

async function claimReport(files: Ledger, path: string): Promise<Output> {
  await mkdir(dirname(path), { recursive: true });
  return files.claim('--gpu-report', path);
}
