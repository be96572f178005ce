// The page of error sentences: show the rows that hold every word that was typed.
document.addEventListener("DOMContentLoaded", () => {
  const field = document.getElementById("filter-sentences")
  if (!field) return
  const rows = [...document.querySelectorAll("table.sentences tbody tr")]
  const texts = rows.map(row => row.textContent.toLowerCase())
  const count = document.getElementById("filter-count")
  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean)
    let shown = 0
    rows.forEach((row, i) => {
      row.hidden = !words.every(word => texts[i].includes(word))
      shown += !row.hidden
    })
    for (const section of document.querySelectorAll("section section")) {
      const own = [...section.querySelectorAll("table.sentences tbody tr")]
      section.hidden = own.length > 0 && own.every(row => row.hidden)
    }
    count.textContent = words.length ? `${shown} of ${rows.length} sentences` : ""
  }
  field.addEventListener("input", show)
})
