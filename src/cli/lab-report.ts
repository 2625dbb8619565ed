import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LloydError } from '../gpu/errors.ts';
import type { Ledger } from './ledger.ts';
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

/** A folder's report.md, claimed before the work that fills it. */
export interface Report {
  path: string;
  /** Writes the sections there are, each file whole or not at all, the report last. */
  write(heading: readonly string[], sections: readonly LabSection[]): Promise<void>;
}

/**
 * Makes the folder and claims its report.
 *
 * @throws LloydError for a folder that cannot be made or written
 */
export async function claimReport(files: Ledger, folder: string): Promise<Report> {
  await mkdir(folder, { recursive: true }).catch((cause) => {
    throw new LloydError('--out must name a folder that can be made', folder, 'choose another', { cause });
  });
  const report = await files.claim('--out', join(folder, 'report.md'));
  const pictures = new Set<string>();
  return {
    path: report.path,
    async write(heading, sections) {
      for (const { file, svg } of sections.flatMap((section) => section.pictures ?? [])) {
        if (pictures.has(file)) continue;
        const picture = await files.claim('--out', join(folder, file));
        await picture.write(svg);
        pictures.add(file);
      }
      await report.write([...heading, '', ...markdown(sections)].join('\n'));
    },
  };
}

function markdown(sections: readonly LabSection[]): string[] {
  return sections.flatMap(({ title, lines, table, checks = [], pictures = [] }, i) => [
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
}
