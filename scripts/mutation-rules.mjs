// What a mutation may be: rules that each change one token of a line of numeric code, in WGSL and in TypeScript alike.

const swap = (name, pattern, replacement) => ({ name, pattern, replacement });

/** Tried in this order; a pattern's first match in a line is what is replaced. */
export const rules = [
  swap('mask', /& (0x[0-9a-f]*)fu?\b/, (_, digits) => `& ${digits}7u`),
  swap('mask', /& 255u/, '& 127u'),
  swap('mask', /& 3u/, '& 1u'),
  swap('shift', / << /, ' >> '),
  swap('shift', / >> /, ' << '),
  swap('bit operator', / \| /, ' & '),
  swap('bit operator', / \^ /, ' & '),
  swap('rounding', /\bround\(/, 'floor('),
  swap('rounding', /\bfloor\(/, 'ceil('),
  swap('rounding', /\btrunc\(/, 'floor('),
  swap('rounding', /\broundHalfToEven\(/, 'Math.round('),
  swap('rounding', /\broundHalfEven\(/, 'Math.round('),
  swap('rounding', /Math\.round\(/, 'Math.floor('),
  swap('rounding', /Math\.floor\(/, 'Math.ceil('),
  swap('rounding', /Math\.ceil\(/, 'Math.floor('),
  swap('rounding', /Math\.fround\(/, 'Number('),
  swap('bound', /\bmin\(/, 'max('),
  swap('bound', /\bmax\(/, 'min('),
  swap('bound', /Math\.min\(/, 'Math.max('),
  swap('bound', /Math\.max\(/, 'Math.min('),
  swap('bound', / < /, ' <= '),
  swap('bound', / <= /, ' < '),
  swap('bound', / > /, ' >= '),
  swap('bound', / >= /, ' > '),
  swap('comparison', / === /, ' !== '),
  swap('comparison', / == /, ' != '),
  swap('logic', / && /, ' || '),
  swap('logic', / \|\| /, ' && '),
  swap('sign', /(= |\(|return )-/, '$1'),
  swap('operator', / \+ /, ' - '),
  swap('operator', / - /, ' + '),
  swap('operator', / \* /, ' + '),
  swap('operator', / \/ /, ' * '),
  swap('operator', / % /, ' / '),
  swap('operator', / \+= /, ' -= '),
  swap('operator', / -= /, ' += '),
  swap('constant', /\b0\.5\b/, '0.25'),
  swap('constant', /\b127\b/, '126'),
  swap('constant', /\b128u?\b/, '127'),
  swap('constant', /\b23\b/, '22'),
  swap('constant', /(?<!select\()\b(\d)u\b(?=[;,)])/, (_, digit) => `${Number(digit) + 1}u`),
];

/**
 * Lines that are no arithmetic: comments, declarations, imports, messages, types, what would loop for ever, and the
 * return of threads past the end, whose stores an adapter drops or not.
 */
const skipped =
  /^\s*(\/\/|\*|\/\*|@|struct|override|import|export (type|interface)|type |interface |check\(|`|'|const [A-Z_]+: u32)|for \(.*(\+=|-=|>>=)|while|throw|LloydError|^if \(\w+ >= [^|&]*\) \{|function |=> .* is |: '\w+' \|/;

/** Every mutant of a file that one rule makes of a line found once: the line, its replacement, and the rule. */
export function propose(source) {
  const lines = source.split('\n');
  const count = new Map();
  for (const line of lines) count.set(line.trim(), (count.get(line.trim()) ?? 0) + 1);
  return lines.flatMap((raw) => {
    const line = raw.replace(/ \/\/ .*/, '').trim();
    if (!line || skipped.test(line) || count.get(line) > 1 || source.split(line).length > 2) return [];
    // WGSL takes no mixture of the two without parentheses.
    const mixes = (line.match(/&&|\|\|/g) ?? []).length > 1;
    return rules.flatMap(({ name, pattern, replacement }) => {
      if (mixes && name === 'logic') return [];
      const mutated = line.replace(pattern, replacement);
      return mutated === line ? [] : [{ find: line, replace: mutated, rule: name }];
    });
  });
}

/**
 * The source with one mutant in it.
 *
 * @throws Error for a snippet that is not there exactly once: the list is stale
 */
export function applyMutant(file, source, { find, replace }) {
  const parts = source.split(find);
  if (parts.length !== 2)
    throw new Error(`${file}: must hold once: ${find}\n  it is there ${parts.length - 1} times`);
  if (find === replace) throw new Error(`${file}: a mutant must change something: ${find}`);
  return parts.join(replace);
}
