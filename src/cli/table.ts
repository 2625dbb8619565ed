/** One column: its heading, and which side its cells keep to. */
export interface Column {
  heading: string;
  align: 'left' | 'right';
}

/** Lines of a table whose columns line up, two spaces apart. */
export function alignTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ heading }, i) =>
    Math.max(heading.length, ...rows.map((row) => row[i].length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (columns[i].align === 'left' ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd();
  return [
    line(columns.map(({ heading }) => heading)),
    line(widths.map((width) => '-'.repeat(width))),
    ...rows.map(line),
  ];
}

/** The same as a Markdown table. */
export function markdownTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map(({ heading }) => heading)),
    line(columns.map(({ align }) => (align === 'left' ? '---' : '--:'))),
    ...rows.map(line),
  ];
}

export const columns = (text: string): Column[] =>
  text.split(',').map((heading, i) => ({ heading: heading.trim(), align: i === 0 ? 'left' : 'right' }));

export const mebibytes = (bytes: number | undefined) =>
  bytes === undefined ? '-' : (bytes / 2 ** 20).toFixed(2);

export const percent = (fraction: number | undefined, digits = 2) =>
  fraction === undefined ? '-' : (fraction * 100).toFixed(digits);

/** Three significant digits, never an exponent. */
export function significant(value: number | undefined | null): string {
  if (value === undefined || value === null || !Number.isFinite(value)) return '-';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** A ratio in decibels: `-` where there is none, `exact` where nothing differs; what rounds to 0 has no sign. */
export function decibels(value: number | undefined | null): string {
  if (value === undefined || value === null) return '-';
  return value === Number.POSITIVE_INFINITY ? 'exact' : value.toFixed(1).replace(/^-(?=[0.]+$)/, '');
}

export const thousands = (count: number) => count.toLocaleString('en-US');
