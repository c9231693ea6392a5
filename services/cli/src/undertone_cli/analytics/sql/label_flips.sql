-- The labels of the older and the newer scores: a confusion matrix with a row for each pair.
--
-- labels_before: the emotions in the older scores, or (no label)
-- labels_after: the emotions in the newer scores, or (no label)
-- paragraphs: the number of paragraphs
-- share_of_before: paragraphs divided by all compared paragraphs with these labels_before
-- flipped: whether the labels differ
SELECT
  labels_before,
  labels_after,
  COUNT(*) AS paragraphs,
  CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER (PARTITION BY labels_before) AS share_of_before,
  labels_before <> labels_after AS flipped
FROM changed_paragraphs
GROUP BY labels_before, labels_after
