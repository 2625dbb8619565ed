import { type CompareRowName, compareRowNames } from 'lloyd';
import type { App } from '../app.ts';
import { h, newId, select } from '../dom.ts';
import { count, rowLabel } from '../text.ts';

const COUNTS = [4, 8, 32, 128, 512, 1000, 10_000];
const SOFTWARE_IMAGES = 8;
const GPU_IMAGES = 1000;
/** One that keeps the answers, one that loses them, one in integers: what a software adapter can run in a minute. */
const FIRST_ROWS: readonly CompareRowName[] = ['fp32', 'kmeans-4', 'kmeans-2', 'linear-8'];
const GROUPS: [legend: string, note: string, belongs: (name: string) => boolean][] = [
  ['Reference', '32 bits a weight, as trained', (name) => name === 'fp32'],
  ['k-means', 'each weight is one of a few values; float arithmetic', (name) => name.startsWith('kmeans')],
  ['Linear', 'weights on an even grid; integers only', (name) => name.startsWith('linear')],
];

/** Which precisions, on how many images, and the buttons, which stand apart from the choices. */
export function compareForm(app: App, start: () => void, cancelled: () => void) {
  const cpu = app.opened.adapter.profile === 'cpu';
  const asked = Number(new URLSearchParams(location.search).get('images'));
  const boxes = new Map(
    compareRowNames.map((name) => [name, rowCheckbox(name, cpu ? FIRST_ROWS.includes(name) : true)]),
  );
  const images = select('Test images', []);
  const id = newId('form');
  const run = h('button', { type: 'submit', form: id, class: 'primary' }, 'Run');
  const cancel = h('button', { type: 'button', disabled: true, onClick: cancelled }, 'Cancel');
  const save = h('a', { class: 'button', download: 'lloyd-compare.json', hidden: true }, 'Save JSON');
  const all = h('button', { type: 'button', class: 'quiet' }, 'All');
  const few = h('button', { type: 'button', class: 'quiet' }, 'A few');
  const tick = (wanted: (name: CompareRowName) => boolean) => () => {
    for (const [name, { input }] of boxes) input.checked = name === 'fp32' || wanted(name);
  };
  all.addEventListener(
    'click',
    tick(() => true),
  );
  few.addEventListener(
    'click',
    tick((name) => FIRST_ROWS.includes(name)),
  );

  const fillCounts = () => {
    const { testImages } = app.opened;
    const available = [...new Set([...COUNTS, asked, testImages])]
      .filter((n) => n > 0 && n <= testImages)
      .sort((a, b) => a - b);
    const wanted = Number(images.input.value || asked) || (cpu ? SOFTWARE_IMAGES : GPU_IMAGES);
    images.input.replaceChildren(...available.map((n) => h('option', { value: n }, count(n))));
    images.input.value = String(available.filter((n) => n <= wanted).at(-1) ?? available[0] ?? '');
    images.field.hidden = testImages === 0;
    run.disabled = testImages === 0;
  };
  fillCounts();
  app.results.onChange.add(fillCounts);

  const element = h(
    'form',
    {
      id,
      class: 'controls',
      onSubmit: (event: Event) => {
        event.preventDefault();
        start();
      },
    },
    ...GROUPS.map(([legend, note, belongs]) =>
      h(
        'fieldset',
        { class: 'rows' },
        h('legend', {}, h('b', {}, legend), h('span', {}, note)),
        ...[...boxes].filter(([name]) => belongs(name)).map(([, box]) => box.label),
      ),
    ),
    h('div', { class: 'buttons' }, few, all),
  );
  return {
    element,
    buttons: h('div', { class: 'buttons' }, images.field, run, cancel, save),
    chosen: () => compareRowNames.filter((name) => boxes.get(name)!.input.checked),
    images: () => Math.min(Number(images.input.value), app.opened.testImages),
    running(yes: boolean) {
      run.disabled = yes || app.opened.testImages === 0;
      cancel.disabled = !yes;
      if (yes) save.hidden = true;
    },
    offer(file: Blob) {
      if (save.href) URL.revokeObjectURL(save.href);
      save.href = URL.createObjectURL(file);
      save.hidden = false;
    },
  };
}

/** A precision to be chosen, in its colour; fp32 always runs, as every other one is measured against it. */
export function rowCheckbox(name: CompareRowName, checked: boolean) {
  const disabled = name === 'fp32';
  const input = h('input', { type: 'checkbox', name: 'row', value: name, checked, disabled });
  return {
    input,
    label: h('label', { class: name.split('-')[0] }, input, h('span', {}, rowLabel(name))),
  };
}
