'use strict';
// Filter, search, keys and links. The state is in the fragment, so that a link shows what its sender saw:
// #q=push&verdict=fail,warn&case=push/stale-is-a-conflict

(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const cases = all('details.case');
  const chips = all('[data-chip]');
  const search = document.getElementById('search');
  const count = document.getElementById('count');
  const none = document.getElementById('none');
  const haystack = new Map(cases.map((item) => [item, [
    item.dataset.id, item.dataset.rules, item.dataset.file, item.dataset.verdict,
    item.querySelector('summary').textContent,
  ].join(' ').toLowerCase()]));
  const isWrong = (verdict) => !['pass', 'not-applicable', 'known'].includes(verdict);
  const state = { q: '', verdicts: new Set(), open: '' };

  function read() {
    const text = location.hash.slice(1);
    const named = new URLSearchParams(text);
    if (text && !['q', 'verdict', 'case'].some((key) => named.has(key))) return false;
    state.q = named.get('q') ?? '';
    state.open = named.get('case') ?? '';
    const wanted = named.get('verdict');
    state.verdicts = new Set((wanted ?? '').split(',').filter((name) => name && name !== 'all'));
    // Who opens the page of a failing run wants to see what failed.
    if (!text) chips.map((chip) => chip.dataset.chip).filter(isWrong).forEach((name) => state.verdicts.add(name));
    return true;
  }

  function write() {
    const named = new URLSearchParams();
    if (state.q) named.set('q', state.q);
    named.set('verdict', [...state.verdicts].join(',') || 'all');
    if (state.open) named.set('case', state.open);
    history.replaceState(null, '', '#' + named.toString().replaceAll('%2C', ',').replaceAll('%2F', '/'));
  }

  function show() {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of cases) {
      const fits = words.every((word) => haystack.get(item).includes(word))
        && (state.verdicts.size === 0 || state.verdicts.has(item.dataset.verdict));
      item.hidden = !fits && item.dataset.id !== state.open;
      if (!item.hidden) shown += 1;
    }
    for (const topic of all('section.topic')) {
      const members = all('details.case', topic);
      const here = members.filter((item) => !item.hidden).length;
      topic.hidden = here === 0;
      topic.querySelector('h3 .quiet').textContent = share(here, members.length);
    }
    for (const chip of chips) {
      chip.setAttribute('aria-pressed', String(state.verdicts.has(chip.dataset.chip)));
    }
    if (search.value !== state.q) search.value = state.q;
    count.textContent = share(shown, cases.length);
    if (shown < cases.length) {
      const button = document.createElement('button');
      button.type = 'button';
      button.dataset.clear = '';
      button.textContent = 'Show all';
      count.append(' ', button);
    }
    none.hidden = shown > 0;
  }

  const share = (some, all) => (some === all ? '' : `${some} of `) + (all === 1 ? '1 case' : `${all} cases`);

  function openWanted() {
    const item = state.open && cases.find((item) => item.dataset.id === state.open);
    if (!item) return;
    item.open = true;
    item.scrollIntoView();
    item.querySelector('summary').focus({ preventScroll: true });
  }

  function change(what) {
    Object.assign(state, what);
    write();
    show();
  }

  function move(step) {
    const visible = cases.filter((item) => !item.hidden);
    if (visible.length === 0) return;
    const at = visible.indexOf(document.activeElement.closest?.('details.case'));
    const next = visible[at < 0 ? (step > 0 ? 0 : visible.length - 1) : at + step];
    next?.querySelector('summary').focus();
    next?.scrollIntoView({ block: 'nearest' });
  }

  search.addEventListener('input', () => change({ q: search.value, open: '' }));
  addEventListener('hashchange', () => {
    if (!read()) return;
    show();
    if (state.open) openWanted();
    else document.getElementById('cases').scrollIntoView();
  });

  document.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    if ('chip' in button.dataset) {
      const verdicts = new Set(state.verdicts);
      if (!verdicts.delete(button.dataset.chip)) verdicts.add(button.dataset.chip);
      change({ verdicts, open: '' });
    } else if ('clear' in button.dataset) {
      change({ q: '', verdicts: new Set(), open: '' });
    } else if ('copy' in button.dataset) {
      copy(button);
    } else if (button.id === 'theme') {
      turn();
    }
  });

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target === search;
    if (event.key === 'Escape') {
      if (typing || state.q) change({ q: '', open: '' });
      document.activeElement.blur();
    } else if (typing) {
      if (event.key === 'Enter') move(1);
    } else if (event.key === '/') {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === 'j' || event.key === 'k') {
      move(event.key === 'j' ? 1 : -1);
    }
  });

  for (const item of cases) {
    item.addEventListener('toggle', () => {
      if (item.open) state.open = item.dataset.id;
      else if (state.open === item.dataset.id) state.open = '';
      else return;
      write();
    });
  }

  function copy(button) {
    const script = button.dataset.copy === 'script';
    const code = button.parentElement.querySelector(script ? 'code.script' : 'code');
    const name = button.textContent;
    const done = () => {
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = name; }, 1500);
    };
    const select = () => getSelection().selectAllChildren(code);
    if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, select);
    else select();
  }

  // Light, dark, or as the system says; remembered where the browser lets a file remember.
  const root = document.documentElement;
  function turn() {
    const order = matchMedia('(prefers-color-scheme: dark)').matches ? ['', 'light', 'dark'] : ['', 'dark', 'light'];
    wear(order[(order.indexOf(root.dataset.theme ?? '') + 1) % order.length]);
  }
  function wear(theme) {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    try { localStorage.setItem('avp-conform-theme', theme); } catch { /* not remembered */ }
  }
  try { wear(localStorage.getItem('avp-conform-theme') ?? ''); } catch { /* as the system says */ }

  // On paper nothing can be opened: of each cause the case that shows it is.
  let opened = [];
  addEventListener('beforeprint', () => {
    opened = cases.filter((item) => !item.hidden && !item.open && 'shows' in item.dataset);
    for (const item of opened) item.open = true;
  });
  addEventListener('afterprint', () => { for (const item of opened) item.open = false; });

  root.classList.add('js');
  read();
  show();
  openWanted();
})();
