import { LloydError } from '../gpu/errors.ts';
import { runConformance } from '../onnx/conformance.ts';
import type { Context } from './command.ts';
import { describeAdapter } from './compare.ts';
import { findCommit } from './files.ts';
import { createProgress, type ProgressBar } from './progress.ts';
import { alignTable, columns, thousands } from './table.ts';

export async function run(context: Context): Promise<void> {
  const quick = context.options.quick === true;
  const runtime = await context.runtime();
  context.print(
    `ONNX operators against their CPU twins${quick ? ', a tenth of the cases' : ''}, on ${describeAdapter(runtime)}`,
  );
  context.print();
  let progress: ProgressBar | undefined;
  const onProgress = (done: number, total: number) => {
    context.signal.throwIfAborted();
    progress ??= createProgress(total);
    progress.update(done, 'cases');
  };
  const rows = await runConformance(runtime, { quick, onProgress }).finally(() => progress?.stop());
  const lines = alignTable(
    columns('operator, rule, outputs, mismatches, hash'),
    rows.map((row) => [row.operator, row.rule, thousands(row.outputs), String(row.mismatches), row.hash]),
  );
  for (const line of lines) context.print(line);
  const mismatches = rows.reduce((sum, row) => sum + row.mismatches, 0);
  context.print();
  context.print(
    mismatches === 0
      ? 'every output equal; equal hashes on two adapters are equal bits'
      : `${thousands(mismatches)} outputs differ`,
  );
  const { adapter } = runtime;
  await context.writeJson({
    adapter,
    quick,
    rows,
    commit: await findCommit(),
    date: new Date().toISOString(),
  });
  if (mismatches > 0) {
    throw new LloydError(
      'the kernels must equal their CPU twins',
      `${mismatches} mismatches`,
      'report the adapter',
    );
  }
}
