#include "serve/api/detail/page.h"

namespace winnow {

// Texts of answers reach the page as text nodes only (textContent): titles are foreign.
constexpr std::string_view kText = R"page(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Winnow</title>
<style>
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--accent:#2f6fde}
*{box-sizing:border-box}body{font:15px/1.45 system-ui,sans-serif;margin:0;padding:1.2rem;max-width:76rem;margin:auto}
h1{font-size:1.3rem;margin:0 0 .8rem}h2{font-size:1rem;margin:0 0 .5rem}
main{display:grid;grid-template-columns:minmax(0,2fr) minmax(0,1fr);gap:1.2rem}@media(max-width:50rem){main{grid-template-columns:1fr}}
section{border:1px solid var(--line);border-radius:.5rem;padding:.9rem;margin-bottom:1.2rem}
form{display:flex;gap:.5rem;flex-wrap:wrap;margin-bottom:.7rem}
input,select,button{font:inherit;padding:.35rem .6rem;border:1px solid var(--line);border-radius:.35rem;background:transparent;color:inherit}
input[name=query]{flex:1}button{cursor:pointer}button.main{background:var(--accent);color:#fff;border-color:var(--accent)}
ol{list-style:none;margin:0;padding:0}li{padding:.5rem 0;border-top:1px solid var(--soft);display:flex;gap:.7rem;align-items:baseline}
.what{flex:1;min-width:0}.why{font-size:.85em;opacity:.75}.p{font-variant-numeric:tabular-nums;min-width:3.4em;text-align:right}
.bar{height:.25rem;background:var(--accent);border-radius:.2rem;margin-top:.2rem}
li button{padding:.1rem .5rem;font-size:.9em}table{border-collapse:collapse;width:100%;font-size:.88em}
td,th{padding:.2rem .3rem;text-align:right;border-top:1px solid var(--soft);font-variant-numeric:tabular-nums}
td:first-child,th:first-child{text-align:left;overflow-wrap:anywhere}#note{min-height:1.4em;font-size:.9em}.error{color:#c33}
</style></head><body>
<h1>Winnow</h1>
<main><div>
<section><h2>For a user</h2>
<form id="recommend"><input name="user" list="users" placeholder="user" aria-label="user" autocomplete="off"><datalist id="users"></datalist>
<input name="filter" placeholder="feature=value" aria-label="filter"><button class="main">Recommend</button></form>
<div id="note" role="status"></div><ol id="items"></ol></section>
<section><h2>Search</h2>
<form id="search"><input name="query" placeholder="what are you looking for?" aria-label="query"><button class="main">Search</button></form>
<div id="searched"></div><ol id="found"></ol></section>
</div><div>
<section><h2>History</h2><ol id="history"></ol></section>
<section><h2>Live</h2><table id="routes"><thead><tr><th>last minute</th><th>per s</th><th>p50 ms</th><th>p99 ms</th></tr></thead><tbody></tbody></table>
<p id="models" class="why"></p></section>
</div></main>
<script>
'use strict';
const $=id=>document.getElementById(id);
let key='';try{key=sessionStorage.getItem('key')||''}catch(e){}
async function call(method,path,body){
  const headers={};if(body)headers['Content-Type']='application/json';if(key)headers['Authorization']='Bearer '+key;
  const r=await fetch(path,{method,headers,body:body?JSON.stringify(body):undefined});
  if(r.status===401){const k=prompt('API key');if(k){key=k;try{sessionStorage.setItem('key',k)}catch(e){}return call(method,path,body)}}
  const j=await r.json();if(!r.ok)throw new Error(j.error?j.error.message:r.status);return j}
function el(tag,text,cls){const e=document.createElement(tag);if(text!==undefined)e.textContent=text;if(cls)e.className=cls;return e}
function user(){return document.querySelector('#recommend [name=user]').value.trim()}
function note(text,bad){$('note').textContent=text;$('note').className=bad?'error':''}
function row(item,probability,why,actions){
  const li=el('li'),what=el('div',undefined,'what');
  what.append(el('div',item.title||item.item));
  if(why)what.append(el('div',why,'why'));
  if(probability!==undefined){const bar=el('div',undefined,'bar');bar.style.width=(100*probability).toFixed(1)+'%';what.append(bar)}
  li.append(what);
  if(probability!==undefined)li.append(el('div',(100*probability).toFixed(1)+' %','p'));
  for(const [text,f] of actions){const b=el('button',text);b.type='button';b.onclick=f;li.append(b)}
  li.dataset.item=item.item;return li}
let request='';
async function feedback(item,kind,position){
  try{await call('POST','/v1/feedback',{user:user(),item,kind,request,position});
    await recommend();await history();note(kind==='click'?'Liked: the list takes it into account.':'Noted.')}
  catch(e){note(e.message,true)}}
async function recommend(){
  const body={user:user(),k:10},filter=document.querySelector('#recommend [name=filter]').value.trim();
  if(filter){const at=filter.indexOf('=');if(at<1)throw new Error('filter: expected feature=value');body.where={[filter.slice(0,at)]:filter.slice(at+1)}}
  const answer=await call('POST','/v1/recommend',body);request=answer.request;
  $('items').replaceChildren(...answer.items.map((item,n)=>row(item,item.probability,
    item.sources.map(s=>s.reason).filter((r,i,a)=>r&&a.indexOf(r)===i).slice(0,2).join(' · '),
    [['like',()=>feedback(item.item,'click',n)],['not for me',()=>feedback(item.item,'dislike',n)]])));
  note((answer.known_user?'':'Nobody of this name in training: what is popular, and what the events say. ')+answer.candidates+' candidates ranked, version '+answer.version)}
async function history(){
  if(!user()){$('history').replaceChildren();return}
  const answer=await call('GET','/v1/users?k=12&user='+encodeURIComponent(user()));
  $('history').replaceChildren(...answer.history.slice(0,14).map(i=>row(i,undefined,(i.live?'just now':'in training')+(i.liked?', liked':''),[])))}
async function search(){
  const query=document.querySelector('#search [name=query]').value.trim();if(!query)return;
  const body={query,k:10};if(user())body.user=user();
  const answer=await call('POST','/v1/search',body);
  $('searched').textContent=answer.searched_for?'Searched for: '+answer.searched_for:'';
  $('found').replaceChildren(...answer.items.map((item,n)=>row(item,item.probability,
    (item.words?'words '+item.words.toFixed(2):'')+(item.meaning?' meaning '+item.meaning.toFixed(2):''),
    user()?[['like',()=>feedback(item.item,'click',n)]]:[])))}
async function live(){
  try{const s=await call('GET','/v1/stats');
    $('routes').tBodies[0].replaceChildren(...s.routes.filter(r=>r.per_second>0).map(r=>{const tr=el('tr');
      for(const t of [r.route,r.per_second.toFixed(1),r.p50_ms.toFixed(2),r.p99_ms.toFixed(2)])tr.append(el('td',t));return tr}));
    $('models').textContent=s.models.map(m=>m.name+' ('+m.model+'), version '+m.version+', '+m.events+' events learnt, share '+Math.round(100*m.share)+' %').join(' · ')+' · '+s.last_event+' events kept'}
  catch(e){$('models').textContent=e.message}}
const on=(id,f)=>$(id).addEventListener('submit',e=>{e.preventDefault();f().catch(x=>note(x.message,true))});
on('recommend',async()=>{await recommend();await history()});on('search',search);
call('GET','/v1/users?k=50').then(a=>{$('users').replaceChildren(...a.users.map(u=>{const o=el('option');o.value=u.user;return o}));
  if(!user()&&a.users.length){document.querySelector('#recommend [name=user]').value=a.users[0].user;return recommend().then(history)}}).catch(e=>note(e.message,true));
live();setInterval(live,2000);
</script></body></html>
)page";
const std::string_view kPage = kText;

}  // namespace winnow
