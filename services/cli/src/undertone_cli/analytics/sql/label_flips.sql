-- The labels of the older and the newer scores: a confusion matrix with a row for each pair.
--
-- label_before: the emotion in the older scores
-- label_after: the emotion in the newer scores
-- paragraphs: the number of paragraphs
-- share_of_before: paragraphs divided by all compared paragraphs with this label_before
-- flipped: whether the two labels differ
SELECT
  label_before,
  label_after,
  COUNT(*) AS paragraphs,
  CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER (PARTITION BY label_before) AS share_of_before,
  label_before <> label_after AS flipped
FROM changed_paragraphs
GROUP BY label_before, label_after
