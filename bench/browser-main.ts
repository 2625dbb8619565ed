import { parseArgs } from 'node:util';
import { checkWritable } from '../src/cli/files.ts';
import { benchInBrowser } from './browser.ts';
import { writeResults } from './main.ts';
import { formatCeilings, formatEntry, formatRefusal, heading } from './report.ts';

const HELP = `npm run bench:browser -- [filter] [options]

Times lloyd's kernels and the VGG headless in Chromium (SwiftShader where there is no GPU), as lloyd bench does in Node.

  --quick        the short set
  --json FILE    write the results as JSON too
  --help`;

/** `npm run bench:browser`; returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { quick: { type: 'boolean' }, json: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (values.json !== undefined) await checkWritable('--json', values.json);
  const filter = positionals.join(' ') || undefined;
  let last = '';
  const under = (entry: { name: string; batch: number }) => {
    if (heading(entry) !== last) console.log(`\n${heading(entry)}`);
    last = heading(entry);
  };
  const results = await benchInBrowser({
    size: values.quick ? 'quick' : 'standard',
    filter,
    onEntry(entry) {
      under(entry);
      console.log(formatEntry(entry));
    },
    onRefusal(refusal) {
      under(refusal);
      console.log(formatRefusal(refusal));
    },
    async keep(sofar) {
      if (values.json !== undefined) await writeResults(values.json, { ...sofar, interrupted: true });
    },
  });
  if (!results) {
    console.error(
      'there is no Chromium here: install Chrome, set PUPPETEER_EXECUTABLE_PATH, or npm install @sparticuz/chromium',
    );
    return 1;
  }
  console.log(`\n${formatCeilings(results)}, ${results.platform}`);
  if (results.cases.length === 0 && results.refused.length === 0) {
    console.error(`no case matches ${JSON.stringify(filter)}`);
    return 1;
  }
  if (values.json !== undefined) {
    await writeResults(values.json, results);
    console.error(`wrote ${values.json}`);
  }
  return results.refused.some(({ unavailable }) => !unavailable) ? 1 : 0;
}
