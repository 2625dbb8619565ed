import { columns, markdownTable, thousands } from '../src/cli/table.ts';
import type { AdapterReport } from '../src/gpu/runtime.ts';
import type { ConformanceRow } from '../src/onnx/index.ts';

/** What `lloyd conformance --json` writes. */
export interface ConformanceReport {
  adapter: Pick<AdapterReport, 'name' | 'software'>;
  quick: boolean;
  rows: readonly ConformanceRow[];
  commit: string;
  date: string;
}

/**
 * The README's table: a line an operator and rule, which names the adapters that gave the same bits. Adapters whose
 * hashes differ get lines of their own.
 *
 * @throws Error for a quick run, or reports of different cases.
 */
export function conformanceTable(reports: readonly ConformanceReport[]): string[] {
  const lines = new Map<string, ConformanceRow & { adapters: string[] }>();
  const counts = new Map<string, number>();
  for (const { adapter, quick, rows } of reports) {
    const name = adapter.software ?? adapter.name;
    if (quick)
      throw new Error(`the conformance of ${name} is a quick run: run lloyd conformance without --quick`);
    for (const row of rows) {
      const work = `${row.operator} ${row.rule}`;
      if ((counts.get(work) ?? row.outputs) !== row.outputs)
        throw new Error(
          `${work} was run on other cases on ${name}: run lloyd conformance on every adapter again`,
        );
      counts.set(work, row.outputs);
      const key = `${work} ${row.hash} ${row.mismatches}`;
      const line = lines.get(key) ?? { ...row, adapters: [] };
      line.adapters.push(name);
      lines.set(key, line);
    }
  }
  const order = [...counts.keys()];
  const sorted = [...lines.values()].sort(
    (a, b) => order.indexOf(`${a.operator} ${a.rule}`) - order.indexOf(`${b.operator} ${b.rule}`),
  );
  const total = sorted.reduce((sum, { outputs, adapters }) => sum + outputs * adapters.length, 0);
  const wrong = sorted.reduce((sum, { mismatches, adapters }) => sum + mismatches * adapters.length, 0);
  const runs = reports.map(
    ({ adapter, commit, date }) => `${adapter.name}, commit ${commit.slice(0, 12)}, ${date.slice(0, 10)}`,
  );
  return [
    ...markdownTable(
      columns('operator, rule, outputs, mismatches, hash, adapters'),
      sorted.map(({ operator, rule, outputs, mismatches, hash, adapters }) => [
        `\`${operator}\``,
        rule === 'exact' ? '-' : `\`${rule}\``,
        thousands(outputs),
        thousands(mismatches),
        `\`${hash}\``,
        adapters.join(', '),
      ]),
    ),
    '',
    `${thousands(wrong)} of ${thousands(total)} outputs differ from their CPU twins. ${runs.join('; ')}.`,
  ];
}
