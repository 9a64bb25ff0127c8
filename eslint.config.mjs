// The linter of the atlas' scripts: `npm ci` and then `npm run lint`, which `make lint` does too.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import js from '@eslint/js';
import confusing from 'confusing-browser-globals';
import { defineConfig, globalIgnores } from 'eslint/config';
import globals from 'globals';

const ATLAS = join(import.meta.dirname, 'src', 'umap_sweep', 'atlas');
const SCRIPTS = join(ATLAS, 'page_files');

// The scripts in the order in which page.py joins them.
const names = [...readFileSync(join(ATLAS, 'page.py'), 'utf8').matchAll(/"(\w+\.js)"/g)].map(([, name]) => name);
const found = readdirSync(SCRIPTS).filter((name) => name.endsWith('.js'));
if (found.toSorted().join() !== names.toSorted().join()) {
  throw new Error(`page.py joins ${names.join(', ')}, and page_files/ holds ${found.join(', ')}.`);
}

// The scripts share one scope, which `render` in page.py makes. Only in the whole of it can be seen whether a name
// exists, is used, is declared twice or is assigned to. So every script is linted as a part of the whole, and what is
// found in other scripts is left out, because it is reported when they are linted.
const HEAD = "(() => {\n'use strict';\n";
const FOOT = '})();\n';

const lineBreaks = (text) => text.split('\n').length - 1;

const joined = {
  meta: { name: 'umap-sweep/joined' },
  supportsAutofix: true,
  places: new Map(), // of each script: its first character in the whole, and the lines between which it stands

  preprocess(text, path) {
    const own = names.indexOf(basename(path));
    const parts = names.map((name, place) => (place === own ? text : readFileSync(join(SCRIPTS, name), 'utf8')));
    const before = HEAD + parts.slice(0, own).map((part) => `${part}\n`).join('');
    const above = lineBreaks(before);
    // What is wrong with the end of the whole, such as a missing bracket, is the last script's.
    const last = own === names.length - 1 ? Infinity : above + lineBreaks(text) + 1;
    joined.places.set(path, { start: before.length, above, last });
    return [HEAD + parts.join('\n') + FOOT];
  },

  postprocess([messages], path) {
    const { start, above, last } = joined.places.get(path);
    const move = ({ text, range }) => ({ text, range: range.map((place) => place - start) });
    return messages
      .filter(({ line }) => line > above && line <= last)
      .map((message) => ({
        ...message,
        // Where another declaration stands is told as a line of the whole, which nobody has before them.
        message: message.message.replace(/ on line \d+ column \d+/, ''),
        line: message.line - above,
        ...(message.endLine && { endLine: message.endLine - above }),
        ...(message.fix && { fix: move(message.fix) }),
        ...(message.suggestions && { suggestions: message.suggestions.map((one) => ({ ...one, fix: move(one.fix) })) }),
      }));
  },
};

// Names by which a page takes text for markup, and calls that do.
const MARKUP = 'innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|createContextualFragment|srcdoc';
const AS_MARKUP = [
  `Identifier[name=/^(${MARKUP})$/]`,
  'MemberExpression[object.name="document"][property.name=/^write(ln)?$/]',
];

export default defineConfig([
  // Environments, results and whatever else is made by running or installing.
  globalIgnores(['**/.*/', 'build/', '**/results/', 'benchmarks/runs/']),
  {
    files: ['**/*.js', '**/*.mjs'],
    extends: [js.configs.recommended],
    linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' },
    rules: {
      'array-callback-return': 'error',
      'consistent-return': 'error',
      eqeqeq: 'error',
      'no-constructor-return': 'error',
      'no-else-return': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-loop-func': 'error',
      'no-new': 'error',
      'no-new-func': 'error',
      'no-param-reassign': 'error',
      'no-promise-executor-return': 'error',
      'no-return-assign': 'error',
      'no-self-compare': 'error',
      'no-shadow': ['error', { hoist: 'all' }],
      'no-template-curly-in-string': 'error',
      'no-throw-literal': 'error',
      'no-unmodified-loop-condition': 'error',
      'no-unreachable-loop': 'error',
      'no-unused-expressions': 'error',
      'no-unused-vars': ['error', { args: 'after-used', caughtErrors: 'all' }],
      // Within a function, names may stand for what is declared below it.
      'no-use-before-define': ['error', { functions: false, classes: false, variables: false }],
      'no-var': 'error',
      'object-shorthand': 'error',
      'prefer-arrow-callback': 'error',
      'prefer-const': ['error', { destructuring: 'all' }],
      'prefer-template': 'error',
      radix: 'error',
      'require-atomic-updates': 'error',
    },
  },
  {
    files: ['src/umap_sweep/atlas/page_files/*.js'],
    processor: joined,
    // Any browser from 2024 on opens the page, so newer syntax is an error.
    languageOptions: { ecmaVersion: 2023, sourceType: 'script', globals: globals.browser },
    rules: {
      // Names that every page has, such as `name` and `event`, and that are more often a slip than meant.
      'no-restricted-globals': ['error', ...confusing],
      // Text that comes from the data must not become markup.
      'no-restricted-syntax': [
        'error',
        ...AS_MARKUP.map((selector) => ({ selector, message: 'Write text as textContent.' })),
      ],
    },
  },
  {
    files: ['*.mjs'],
    languageOptions: { globals: globals.nodeBuiltin },
  },
]);
