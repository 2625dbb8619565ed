import type { Kernel } from '../../src/gpu/declaration.ts';

/** A kernel as its page shows it. */
export interface KernelSource {
  /** Its export: `quantizeLinear`. */
  name: string;
  kernel: Pick<Kernel, 'declaration'>;
  /** Its docstring. */
  sentence: string;
  examples: readonly string[];
}

/** The comment that a shader begins with, without its slashes. */
export function headerOf(wgsl: string): string[] {
  const lines = wgsl.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('//'));
  return lines.slice(0, end < 0 ? lines.length : end).map((line) => line.replace(/^\/\/ ?/, ''));
}

/** A kernel's page: the header of its shader and what its declaration adds, as Markdown. */
export function kernelPage({ name, kernel, sentence, examples }: KernelSource): string {
  const { declaration } = kernel;
  const stem = declaration.name;
  const [contract, ...rest] = paragraphs(headerOf(declaration.wgsl.at(-1)!));
  const buffers = rest.filter(([first]) => /^buffer\s/.test(first));
  const others = rest.filter(([first]) => !/^buffer\s/.test(first));
  const hasParams = Object.keys(declaration.params).length > 0;
  const bindings = Object.entries(declaration.bindings).map(([binding, { access, type }], index) => [
    String(index + (hasParams ? 1 : 0)),
    code(binding),
    access,
    code(type.startsWith('texture') ? type : `array<${type}>`),
  ]);
  const settings = [
    ...Object.entries(declaration.overrides ?? {}).map(([key, { default: value, allowed }]) => [
      code(key),
      'override',
      code(String(value)),
      allowed ? allowed.map((each) => code(String(each))).join(' ') : 'any number',
    ]),
    ...Object.entries(declaration.constants ?? {}).map(([key, allowed]) => [
      code(key),
      'alias or const',
      code(defaultOf(declaration.wgsl.join('\n'), key)),
      allowed.length > 0 ? allowed.map(code).join(' ') : 'any of its type',
    ]),
  ];
  return [
    `---\ntitle: ${stem}\n---`,
    `# ${stem}`,
    `${prose(contract)}`,
    `{@link "lloyd/kernels".${name} | ${name}}: ${sentence.replace(/\n/g, ' ')}`,
    '## Buffers',
    table(['binding', 'name', 'access', 'type'], bindings),
    ...buffers.map(fenced),
    '## Params',
    hasParams
      ? table(
          ['name', 'type'],
          Object.entries(declaration.params).map(([key, type]) => [code(key), code(type)]),
        )
      : 'None.',
    '## Overrides and constants',
    settings.length > 0 ? table(['name', 'kind', 'default', 'allowed'], settings) : 'None.',
    ...(declaration.requires?.length
      ? [`Needs the device's features ${declaration.requires.map(code).join(', ')}.`]
      : []),
    '## How',
    ...others.map((lines) => (isProse(lines) ? prose(lines) : fenced(lines))),
    `The shader is \`shaders/${stem}.wgsl\` of the package.`,
    '## Example',
    ...examples.map((example) => `\`\`\`ts\n${example}\n\`\`\``),
    '',
  ].join('\n\n');
}

/** Lines between blank ones; a buffer table, and what follows it without a blank line, is one. */
function paragraphs(lines: readonly string[]): string[][] {
  const found: string[][] = [[]];
  for (const line of lines) {
    if (line.trim() !== '') found.at(-1)!.push(line);
    else if (found.at(-1)!.length > 0) found.push([]);
  }
  return found.filter((each) => each.length > 0);
}

/** Text runs from the margin; formulas, layouts and tables are indented or aligned by spaces. */
const isProse = (lines: readonly string[]) => lines.every((line) => !/^\s{2}|\S {3,}\S/.test(line));

const code = (text: string) => `\`${text}\``;
const fenced = (lines: readonly string[]) => `\`\`\`text\n${lines.join('\n')}\n\`\`\``;

/** A header's words as they stand: what Markdown or TypeDoc would take for markup is escaped, outside of backticks. */
function prose(lines: readonly string[]): string {
  return lines
    .join('\n')
    .split(/(`[^`]*`)/)
    .map((part, index) => (index % 2 === 1 ? part : part.replace(/[\\*_[\]{}<>|#~@]/g, '\\$&')))
    .join('');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The right-hand side that the WGSL gives a top-level alias or const. */
function defaultOf(wgsl: string, name: string): string {
  return new RegExp(`^(?:alias|const)\\s+${name}\\b[^=;]*=\\s*([^;]+);`, 'm').exec(wgsl)?.[1].trim() ?? '';
}
