import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from './files.ts';
import { alignTable, type Column, markdownTable } from './table.ts';

/** Something that the lab publishes to the last digit, or a property it asks for. */
export interface LabCheck {
  name: string;
  passed: boolean;
}

/** One step of the write-up. */
export interface LabSection {
  title: string;
  lines: string[];
  table?: { columns: readonly Column[]; rows: readonly (readonly string[])[] };
  checks?: LabCheck[];
  pictures?: { file: string; svg: string }[];
}

/** A section as the terminal shows it. */
export function sectionText({ title, lines, table, checks = [] }: LabSection, number: number): string[] {
  return [
    `${number}. ${title}`,
    ...lines.map((line) => `   ${line}`),
    ...(table ? ['', ...alignTable(table.columns, table.rows).map((line) => `   ${line}`)] : []),
    ...checks.map(({ name, passed }) => `   ${passed ? 'ok  ' : 'FAIL'} ${name}`),
    '',
  ];
}

/** Writes report.md and its pictures; each file whole or not at all, the report last. */
export async function writeReport(
  folder: string,
  heading: readonly string[],
  sections: readonly LabSection[],
) {
  await mkdir(folder, { recursive: true });
  for (const { pictures = [] } of sections) {
    for (const { file, svg } of pictures) await writeAtomically(join(folder, file), svg);
  }
  const body = sections.flatMap(({ title, lines, table, checks = [], pictures = [] }, i) => [
    `## ${i + 1}. ${title}`,
    '',
    ...lines,
    ...(table ? ['', ...markdownTable(table.columns, table.rows)] : []),
    ...(checks.length > 0
      ? ['', ...checks.map(({ name, passed }) => `- ${passed ? 'ok' : '**failed**'}: ${name}`)]
      : []),
    ...pictures.flatMap(({ file }) => ['', `![${title}](${file})`]),
    '',
  ]);
  await writeAtomically(join(folder, 'report.md'), [...heading, '', ...body].join('\n'));
}
