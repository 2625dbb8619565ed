import { describe, expect, test } from 'vitest';
import {
  type ConformanceReport,
  conformanceTable,
  conformanceTotals,
} from '../../bench/readme-conformance.ts';
import type { ConformanceRow } from '../../src/onnx/index.ts';

const row = (over: Partial<ConformanceRow> = {}): ConformanceRow => ({
  operator: 'QLinearConv',
  rule: 'ort-f32',
  outputs: 1000,
  mismatches: 0,
  hash: 'aa',
  ...over,
});
const report = (software: string | null, rows: ConformanceRow[], quick = false): ConformanceReport => ({
  adapter: { name: `${software} 1.0`, software: software as 'lavapipe' | null },
  quick,
  rows,
  commit: '0123456789abcdef',
  date: '2026-01-02T03:04:05Z',
});

describe('conformanceTable', () => {
  test('one line for adapters of equal bits, and the totals', () => {
    const rows = [row({ operator: 'ConvInteger', rule: 'exact' }), row()];
    expect(conformanceTable([report('lavapipe', rows), report('swiftshader', rows)])).toEqual([
      '| operator | rule | outputs | mismatches | hash | adapters |',
      '| --- | --: | --: | --: | --: | --: |',
      '| `ConvInteger` | - | 1,000 | 0 | `aa` | lavapipe, swiftshader |',
      '| `QLinearConv` | `ort-f32` | 1,000 | 0 | `aa` | lavapipe, swiftshader |',
      '',
      '0 of 4,000 outputs differ from their CPU twins. lavapipe 1.0, commit 0123456789ab, 2026-01-02; swiftshader 1.0, commit 0123456789ab, 2026-01-02.',
    ]);
  });

  test('a hash of its own, or a mismatch, is a line of its own beside the others of its operator', () => {
    const lines = conformanceTable([
      report('lavapipe', [row(), row({ rule: 'lab' })]),
      report('swiftshader', [row({ hash: 'bb', mismatches: 7 }), row({ rule: 'lab' })]),
    ]);
    expect(lines.slice(2, 5)).toEqual([
      '| `QLinearConv` | `ort-f32` | 1,000 | 0 | `aa` | lavapipe |',
      '| `QLinearConv` | `ort-f32` | 1,000 | 7 | `bb` | swiftshader |',
      '| `QLinearConv` | `lab` | 1,000 | 0 | `aa` | lavapipe, swiftshader |',
    ]);
    expect(lines.at(-1)).toMatch(/^7 of 4,000 outputs differ/);
  });

  test('quick runs and runs of other cases are refused', () => {
    expect(() => conformanceTable([report('lavapipe', [row()], true)])).toThrow(/lavapipe is a quick run/);
    const other = [report('lavapipe', [row()]), report('swiftshader', [row({ outputs: 1001 })])];
    expect(() => conformanceTable(other)).toThrow(/other cases on swiftshader/);
  });
});

describe('conformanceTotals', () => {
  test('a line an operator, its rules and adapters together, and the same sentence', () => {
    const rows = [row({ operator: 'ConvInteger', rule: 'exact' }), row(), row({ rule: 'lab', hash: 'cc' })];
    const reports = [report('lavapipe', rows), report('swiftshader', rows)];
    expect(conformanceTotals(reports)).toEqual([
      '| operator | rules | outputs | mismatches | adapters with the same bits |',
      '| --- | --: | --: | --: | --: |',
      '| `ConvInteger` | 1 | 2,000 | 0 | lavapipe, swiftshader |',
      '| `QLinearConv` | 2 | 4,000 | 0 | lavapipe, swiftshader |',
      '',
      conformanceTable(reports).at(-1),
    ]);
  });

  test('one hash that differs, and no adapters are said to agree', () => {
    const other = report('swiftshader', [row({ hash: 'bb', mismatches: 7 })]);
    expect(conformanceTotals([report('lavapipe', [row()]), other])[2]).toBe(
      '| `QLinearConv` | 1 | 2,000 | 7 | none |',
    );
  });
});
