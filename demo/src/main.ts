import 'uplot/dist/uPlot.min.css';
import './style.css';
import './panels.css';
import './panels-inside.css';
import './panels-images.css';
import './panels-kernels.css';
import './panels-own.css';
import './narrow.css';
import type { App, Panel } from './app.ts';
import { startWorker } from './client.ts';
import { h } from './dom.ts';
import { missingWebgpu, problem } from './notice.ts';
import { comparePanel } from './panels/compare.ts';
import { refuseStrayDrops } from './panels/drop.ts';
import { imagesPanel } from './panels/images.ts';
import { insidePanel } from './panels/inside.ts';
import { kernelsPanel } from './panels/kernels.ts';
import { ownNetworkPanel } from './panels/own-network.ts';
import { tensorPanel } from './panels/tensor-bench.ts';
import { showTabs } from './tabs.ts';
import { mib } from './text.ts';
import { themeButton } from './theme.ts';

const panels: Panel[] = [comparePanel, ownNetworkPanel, insidePanel, imagesPanel, kernelsPanel, tensorPanel];
const byId = (id: string) => document.getElementById(id)!;

refuseStrayDrops();
themeButton(byId('theme') as HTMLButtonElement);
void start();

async function start(): Promise<void> {
  const device = byId('device');
  const notice = byId('notice');
  notice.hidden = true;
  if (!('gpu' in navigator)) return fail('No WebGPU in this browser', missingWebgpu());
  const client = startWorker(
    (why) => {
      client.close();
      fail(
        'The GPU device was lost',
        problem(
          'The GPU device was lost',
          `The driver said: ${why.replace(/\.$/, '')}. What was measured before stays below until you start again.`,
          h('button', { onClick: start }, 'Start again'),
        ),
      );
    },
    (why) => {
      device.textContent = `The GPU device was lost (${why.replace(/\.$/, '')}); the page goes on with a new one`;
    },
  );
  try {
    const opened = await client.call(
      'open',
      { base: new URL('.', document.baseURI).href },
      {
        onProgress: ({ done, total }) =>
          (device.textContent = `Fetching weights: ${mib(done)} of ${mib(total)}`),
      },
    );
    const app: App = { client, opened, results: { images: 0, rows: [], onChange: new Set() } };
    const { name, software } = opened.adapter;
    device.textContent = software
      ? `Running on ${name}, which computes on the CPU: expect seconds an image`
      : `Running on ${name}`;
    showTabs(byId('tabs'), byId('panels'), panels, app);
    byId('panels').inert = false;
  } catch (error) {
    if ((error as Error).name === 'AbortError') return;
    client.close();
    const { message } = error as Error;
    const noAdapter = /adapter/.test(message);
    fail(
      noAdapter ? 'No GPU adapter' : 'The page could not start',
      noAdapter
        ? missingWebgpu(message, h('button', { onClick: start }, 'Try again'))
        : problem('The page could not start', `${message}.`, h('button', { onClick: start }, 'Try again')),
    );
  }
}

function fail(line: string, explanation: HTMLElement): void {
  byId('device').textContent = line;
  byId('notice').replaceChildren(explanation);
  byId('notice').hidden = false;
  // What is shown stays to be read, but there is nothing behind it any more.
  byId('panels').inert = true;
}
