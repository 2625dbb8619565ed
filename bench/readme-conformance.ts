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
 * The README's table: a line an operator, with all its rules and adapters together.
 *
 * @throws what {@link conformanceTable} throws
 */
export function conformanceTotals(reports: readonly ConformanceReport[]): string[] {
  const { lines, summary } = compared(reports);
  const operators = [...new Set(lines.map(({ operator }) => operator))];
  return [
    ...markdownTable(
      columns('operator, rules, outputs, mismatches, adapters with the same bits'),
      operators.map((operator) => {
        const own = lines.filter((line) => line.operator === operator);
        const rules = new Set(own.map(({ rule }) => rule));
        const sum = (key: 'outputs' | 'mismatches') =>
          own.reduce((total, line) => total + line[key] * line.adapters.length, 0);
        // A hash of its own is a line of its own.
        const agree = own.length === rules.size ? own[0].adapters.join(', ') : 'none';
        return [
          `\`${operator}\``,
          String(rules.size),
          thousands(sum('outputs')),
          thousands(sum('mismatches')),
          agree,
        ];
      }),
    ),
    '',
    summary,
  ];
}

/**
 * The table of docs/conformance.md: a line an operator and rule, which names the adapters that gave the same bits. Adapters whose
 * hashes differ get lines of their own.
 *
 * @throws Error for a quick run, or reports of different cases.
 */
export function conformanceTable(reports: readonly ConformanceReport[]): string[] {
  const { lines, summary } = compared(reports);
  return [
    ...markdownTable(
      columns('operator, rule, outputs, mismatches, hash, adapters'),
      lines.map(({ operator, rule, outputs, mismatches, hash, adapters }) => [
        `\`${operator}\``,
        rule === 'exact' ? '-' : `\`${rule}\``,
        thousands(outputs),
        thousands(mismatches),
        `\`${hash}\``,
        adapters.join(', '),
      ]),
    ),
    '',
    summary,
  ];
}

/** Every operator by every rule, with the adapters that gave the same bits, in the order of the reports; and all of it in a sentence. */
function compared(reports: readonly ConformanceReport[]) {
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
  const summary = `${thousands(wrong)} of ${thousands(total)} outputs differ from their CPU twins. ${runs.join('; ')}.`;
  return { lines: sorted, summary };
}
