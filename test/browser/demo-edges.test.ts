import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CIFAR10_RECORD_BYTES } from '../../src/io/index.ts';
import { SLOW, testUnlessSlow } from '../support/runtime.ts';
import {
  chromiumFor,
  dropFile,
  openStage,
  pickRows,
  type Stage,
  statusOf,
  textOf,
  WAIT,
} from './demo-page.ts';
import { outputFolder, WITHOUT_IMAGES } from './site.ts';

const chromium = await chromiumFor(10);

describe.skipIf(!chromium)(
  'the demo page, where something is missing or goes wrong',
  { timeout: WAIT },
  () => {
    let stage: Stage;
    let page: Page;

    beforeAll(async () => {
      stage = await openStage(chromium!, 'site-edges');
      page = await stage.open('?images=4&calibration=2');
    }, 180_000);
    afterAll(async () => {
      await stage?.close();
    });

    const screenshot = (of: Page, name: string) =>
      of.screenshot({ path: join(outputFolder, name) as `${string}.png`, fullPage: true });

    testUnlessSlow(
      'fine-tuned rows run where their weights are, and name their command where not',
      async () => {
        await pickRows(page, ['kmeans-2', 'kmeans-2-qat', 'linear-2-qat']);
        await page.click('#panel-compare button[type=submit]');
        expect(await statusOf(page, 'compare', /precisions on 4 images|failed/)).toContain('4 precisions');
        const lines = await page.$$eval('.results tbody tr', (rows) =>
          rows.slice(0, 4).map((row) => row.textContent!),
        );
        expect(lines[2]).toMatch(/^k-means 2 bit, fine-tuned\d+\.\d %/);
        expect(lines[3]).toContain('lloyd finetune --method linear --bits 2');
        await screenshot(page, 'compare-qat-1440.png');
        await page.setViewport({ width: 360, height: 900 });
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
        await screenshot(page, 'compare-qat-360.png');
        await page.setViewport({ width: 1440, height: 900 });
        await page.click('#tab-images');
        await statusOf(page, 'images', /2 precisions (dis)?agrees? with fp32 about/);
        await page.click('#tab-compare');
      },
    );

    test('a cancel takes effect within a batch, also of a long run', async () => {
      await page.select('#panel-compare select', '1000');
      await page.click('#panel-compare button[type=submit]');
      const reached = (image: number) =>
        page.waitForFunction(
          (least: number) => {
            const at = /image (\d+) of/.exec(document.querySelector('.results')?.textContent ?? '');
            return at !== null && Number(at[1]) >= least;
          },
          { timeout: WAIT, polling: 20 },
          image,
        );
      await reached(2);
      const started = performance.now();
      await reached(6);
      const batchMs = (performance.now() - started) / 2;
      const [cancel] = await page.$$('#panel-compare .buttons button:not(.primary, .quiet)');
      const asked = performance.now();
      await cancel.click();
      await statusOf(page, 'compare', /^Cancelled after 0 of 4/);
      const tookMs = performance.now() - asked;
      console.log(`cancelled after ${tookMs.toFixed(0)} ms; a batch takes ${batchMs.toFixed(0)} ms`);
      // The batch that runs, and slack for a machine that does other work.
      expect(tookMs).toBeLessThan(3 * batchMs + 1000);
      expect(await textOf(page, '.results tbody')).toContain('not run');
      await page.select('#panel-compare select', '4');
    });

    testUnlessSlow(
      'what is asked during a comparison waits for it, as it would disturb the timings',
      async () => {
        await pickRows(page, []);
        await page.click('#panel-compare button[type=submit]');
        await page.click('#tab-kernels');
        await page.click('#panel-kernels .primary');
        await statusOf(page, 'kernels', /^Waiting for what is running/);
        await statusOf(page, 'compare', /^1 precision on 4 images/);
        expect(await statusOf(page, 'kernels', /dispatches for 1 image|failed/)).toContain('dispatches');
      },
    );

    test('a batch file replaces the test images; anything else is refused with one clear line', async () => {
      await page.click('#tab-images');
      const drop = async (name: string, type: string, bytes: Uint8Array, answer: RegExp) => {
        await dropFile(page, '#panel-images .drop', { name, type, bytes });
        return statusOf(page, 'images', answer);
      };
      const batch = await readFile(join(outputFolder, 'site-edges/data/test-images.bin'));
      const six = batch.subarray(0, 6 * CIFAR10_RECORD_BYTES);
      await drop('notes.txt', 'text/plain', new Uint8Array(9), /notes\.txt is neither a picture nor/);
      await drop(
        'half.bin',
        '',
        six.subarray(1),
        /half\.bin is no CIFAR-10 batch: .*multiple of 3073.*18437/s,
      );
      await drop('empty.bin', '', new Uint8Array(), /empty\.bin is no CIFAR-10 batch: it holds no image/);
      await drop(
        'labels.bin',
        '',
        new Uint8Array(CIFAR10_RECORD_BYTES).fill(77),
        /labels\.bin is no .*label of image 0/s,
      );
      await drop('torn.png', 'image/png', new Uint8Array(50), /torn\.png could not be read as a picture/);
      // The images that were there still are, with what was computed of them: only a good batch replaces them.
      const tiles = () => page.$$eval('#panel-images .grid .tile', (all) => all.length);
      expect(await tiles()).toBe(SLOW ? 0 : 4); // 0 where the comparisons above were left out
      await drop('six.bin', '', six, /6 test images from six\.bin/);
      expect(await tiles()).toBe(0);
      await page.click('#tab-compare');
      expect(
        await page.$$eval('#panel-compare select option', (all) => all.map((o) => o.textContent)),
      ).toEqual(['4', '6']);
    });

    test('says so where the server has no images, and works with a file that is dropped', async () => {
      const bare = await stage.open(`${WITHOUT_IMAGES}?images=4&calibration=2`);
      expect(await textOf(bare, '#panel-compare .notice')).toContain('There are no test images here');
      expect(
        await bare.$eval('#panel-compare button[type=submit]', (b) => (b as HTMLButtonElement).disabled),
      ).toBe(true);
      await screenshot(bare, 'no-images.png');
      await bare.click('#tab-kernels');
      await bare.click('#panel-kernels .primary');
      expect(await statusOf(bare, 'kernels', /failed|dispatches/)).toMatch(/drop a CIFAR-10 batch file/);
      await bare.click('#tab-compare');
      const batch = await readFile(join(outputFolder, 'site-edges/data/test-images.bin'));
      await dropFile(bare, '#panel-compare .drop', {
        name: 'wrong.png',
        type: 'image/png',
        bytes: new Uint8Array(3),
      });
      await bare.waitForFunction(() =>
        /wrong\.png is no CIFAR-10/.test(document.querySelector('.notice')!.textContent!),
      );
      const bytes = batch.subarray(0, 4 * CIFAR10_RECORD_BYTES);
      await dropFile(bare, '#panel-compare .drop', { name: 'test_batch.bin', type: '', bytes });
      await bare.waitForSelector('#panel-compare .notice[hidden]');
      await pickRows(bare, SLOW ? [] : ['linear-8']);
      await bare.click('#panel-compare button[type=submit]');
      const done = await statusOf(bare, 'compare', /precisions? on 4 images|failed/);
      expect(done).toContain(SLOW ? '1 precision on 4' : '2 precisions on 4');
      await bare.close();
    });

    test('Run, the place for a network and every tab are seen without scrolling, on a phone too', async () => {
      for (const [width, height] of [
        [1440, 900],
        [360, 800],
      ]) {
        const page = await stage.open('');
        await page.setViewport({ width, height });
        const seen = (selector: string) =>
          page.$$eval(selector, (all) =>
            all.every((element) => {
              const { left, top, right, bottom, width } = element.getBoundingClientRect();
              return width > 0 && left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
            }),
          );
        expect(await page.$$eval('[role=tab]', (tabs) => tabs.length)).toBe(6);
        expect(await seen('[role=tab]'), `tabs at ${width}`).toBe(true);
        const fits = await page.$$eval('.tabs, [role=tab]', (all) =>
          all.every(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth),
        );
        expect(fits, `tabs uncut at ${width}`).toBe(true);
        expect(await seen('#panel-compare button[type=submit]'), `Run at ${width}`).toBe(true);
        await page.screenshot({ path: join(outputFolder, `fold-${width}.png`) as `${string}.png` });
        await page.click('#tab-yours');
        expect(await page.evaluate(() => scrollY)).toBe(0);
        expect(await seen('#panel-yours .panel-row .drop'), `the place at ${width}`).toBe(true);
        await page.close();
      }
    });

    test('every panel is reached and used with the keyboard alone', async () => {
      const page = await stage.open('?images=4&calibration=2');
      const focused = () =>
        page.evaluate(() => document.activeElement!.id || document.activeElement!.textContent!.trim());
      await page.keyboard.press('Tab');
      expect(await focused()).toBe('Skip to the panels');
      await page.focus('#tab-compare');
      for (const next of ['yours', 'inside', 'images', 'kernels', 'bench', 'compare', 'yours', 'inside']) {
        await page.keyboard.press('ArrowRight');
        expect(await focused()).toBe(`tab-${next}`);
        expect(await page.$eval(`#panel-${next}`, (panel) => (panel as HTMLElement).hidden)).toBe(false);
      }
      await page.focus('#panel-inside input[type=range]');
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('ArrowLeft');
      await statusOf(page, 'inside', /^4 centroids/);
      await page.focus('.lesson .primary');
      await page.keyboard.press('Enter');
      await statusOf(page, 'inside', /^Iteration 1/);
      await page.focus('#tab-compare');
      await page.keyboard.press('Enter');
      await pickRows(page, []);
      await page.focus('#panel-compare input[value=kmeans-8]');
      await page.keyboard.press('Space');
      expect(await page.$eval('input[value=kmeans-8]', (box) => (box as HTMLInputElement).checked)).toBe(
        true,
      );
      await page.keyboard.press('Space');
      await page.keyboard.press('Enter');
      await statusOf(page, 'compare', /Compiling|First|fp32|1 precision/);
      const tree = JSON.stringify(await page.accessibility.snapshot());
      for (const name of ['Progress of the comparison', 'Test images', 'Accuracy against size'])
        expect(tree).toContain(name);
    });

    testUnlessSlow(
      'goes on after a lost device, explains a second one, in the middle of a run too, and starts again',
      async () => {
        const page = await stage.open('?images=32');
        const runs = () =>
          page.waitForFunction(
            () => /image \d+ of \d+/.test(document.querySelector('.results')!.textContent!),
            {
              timeout: 60_000,
            },
          );
        const loseDevice = async () => {
          const [worker] = page.workers();
          await worker.evaluate(() => self.onmessage!({ data: { loseDevice: true } } as MessageEvent));
        };
        const lose = async () => {
          await loseDevice();
          await page.waitForFunction(
            () => /goes on with a new one/.test(document.querySelector('#device')!.textContent!),
            { timeout: 60_000 },
          );
          await runs();
          expect(await page.$eval('#notice', (notice) => (notice as HTMLElement).hidden)).toBe(true);
          await loseDevice();
          await page.waitForSelector('#notice:not([hidden]) button', { timeout: 60_000 });
          expect(await textOf(page, '#notice')).toContain('The GPU device was lost');
          expect(await page.$eval('#panels', (panels) => (panels as HTMLElement).inert)).toBe(true);
        };
        const again = async () => {
          await page.click('#notice button');
          await page.waitForFunction(() => !(document.querySelector('#panels') as HTMLElement).inert, {
            timeout: 60_000,
          });
          expect(await page.$eval('#notice', (notice) => (notice as HTMLElement).hidden)).toBe(true);
          await page.click('#panel-compare button[type=submit]');
          await runs();
        };
        await page.click('#panel-compare button[type=submit]');
        await runs();
        await lose();
        await screenshot(page, 'lost-device.png');
        await again();
        await lose();
        await again();
        await page.close();
      },
    );

    test('says what to enable without WebGPU', async () => {
      const bare = await stage.browser.newPage();
      await bare.evaluateOnNewDocument(() => {
        Reflect.deleteProperty(Navigator.prototype, 'gpu');
      });
      await bare.goto(stage.url);
      await bare.waitForSelector('#notice:not([hidden])');
      expect(await textOf(bare, '#notice')).toMatch(/WebGPU.*Chrome or Edge \(yours\)/s);
      await screenshot(bare, 'no-webgpu.png');
      await bare.close();
    });

    test('left no error in the console', () => {
      expect(stage.complaints).toEqual([]);
    });
  },
);
