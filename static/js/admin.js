// Nothing: that it runs says that Django's scripts have, which stand before it and move the page aside for the list of
// tables. The admin's pages wait with their first paint for it (blocking="render"), so that nothing moves afterwards.
