//! The little dense linear algebra that weight rounding needs: symmetric positive definite matrices, row-major in `f64`.

/// A square matrix, `n * n` values, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Rows and columns.
    pub n: usize,
    /// Values.
    pub values: Vec<f64>,
}

impl Matrix {
    /// All zeros.
    pub fn zeros(n: usize) -> Matrix {
        Matrix { n, values: vec![0.0; n * n] }
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.n..(i + 1) * self.n]
    }

    /// The lower triangular `L` with `L * L^T` equal to this symmetric matrix (Cholesky; G. Golub, C. Van Loan, "Matrix
    /// Computations", 4th edition, section 4.2.5, by rows). `None` when it is not positive definite. `n^3 / 3` operations.
    pub fn cholesky(&self) -> Option<Matrix> {
        let n = self.n;
        let mut lower = Matrix::zeros(n);
        for i in 0..n {
            for j in 0..=i {
                let dot = dot(&lower.values[i * n..i * n + j], &lower.values[j * n..j * n + j]);
                let rest = self.values[i * n + j] - dot;
                lower.values[i * n + j] = if i == j {
                    // A pivot lost to rounding, and NaN, are no pivots.
                    if rest.is_nan() || rest <= 1e-12 * self.values[i * n + i].abs() {
                        return None;
                    }
                    rest.sqrt()
                } else {
                    rest / lower.values[j * n + j]
                };
            }
        }
        Some(lower)
    }

    /// The inverse of this lower triangular matrix, by forward substitution on the columns of the identity.
    pub fn invert_lower(&self) -> Matrix {
        let n = self.n;
        let mut inverse = Matrix::zeros(n);
        for i in 0..n {
            let pivot = self.values[i * n + i];
            // Row i of the inverse is (e_i - sum over k < i of L[i][k] * row k) / L[i][i].
            let (done, rest) = inverse.values.split_at_mut(i * n);
            let row = &mut rest[..n];
            for k in 0..i {
                let factor = self.values[i * n + k];
                if factor != 0.0 {
                    for (r, v) in row[..=k].iter_mut().zip(&done[k * n..k * n + k + 1]) {
                        *r -= factor * v;
                    }
                }
            }
            row[i] = 1.0;
            row[..=i].iter_mut().for_each(|r| *r /= pivot);
        }
        inverse
    }

    /// `L^T L` of this lower triangular matrix: the inverse of a symmetric matrix from that of its Cholesky factor.
    pub fn transposed_product(&self) -> Matrix {
        let n = self.n;
        let mut result = Matrix::zeros(n);
        for row in 0..n {
            let line = &self.row(row)[..=row];
            for (i, a) in line.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                for (r, b) in result.values[i * n..].iter_mut().zip(line) {
                    *r += a * b;
                }
            }
        }
        result
    }

    /// The upper triangular `U` with `U^T * U` equal to the inverse of this symmetric matrix, which is what sequential rounding
    /// distributes errors by; `None` when it is not positive definite.
    ///
    /// With the order of rows and columns reversed by `P`, `P A P = L L^T` gives `A^-1 = (P L^-T P)(P L^-1 P)`; `P L^-1 P` is
    /// upper triangular, and is `U`.
    pub fn inverse_factor(&self) -> Option<Matrix> {
        let n = self.n;
        let reversed = Matrix { n, values: self.values.iter().rev().copied().collect() };
        let inverse = reversed.cholesky()?.invert_lower();
        Some(Matrix { n, values: inverse.values.into_iter().rev().collect() })
    }

    /// `x` with `A x = b` for this symmetric positive definite matrix, by [`Matrix::cholesky`] and two substitutions; `None` when
    /// it is not positive definite.
    pub fn solve(&self, b: &[f64]) -> Option<Vec<f64>> {
        let inverse = self.cholesky()?.invert_lower();
        let y: Vec<f64> = (0..self.n).map(|i| dot(inverse.row(i), b)).collect();
        Some((0..self.n).map(|i| (i..self.n).map(|k| inverse.values[k * self.n + i] * y[k]).sum()).collect())
    }

    /// `x^T A x`.
    pub fn quadratic(&self, x: &[f64]) -> f64 {
        (0..self.n).map(|i| x[i] * dot(self.row(i), x)).sum()
    }
}

/// `sum(a[i] * b[i])`, in ascending order.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f64]]) -> Matrix {
        Matrix { n: rows.len(), values: rows.concat() }
    }

    #[test]
    fn factors_multiply_back() {
        let a = matrix(&[&[4.0, 2.0, -2.0], &[2.0, 10.0, 2.0], &[-2.0, 2.0, 6.0]]);
        let l = a.cholesky().expect("positive definite");
        assert_eq!(l.values, [2.0, 0.0, 0.0, 1.0, 3.0, 0.0, -1.0, 1.0, 2.0]);
        let u = a.inverse_factor().expect("positive definite");
        assert!(u.values[3] == 0.0 && u.values[6] == 0.0 && u.values[7] == 0.0, "upper triangular");
        // U^T U A = 1.
        for i in 0..3 {
            for j in 0..3 {
                let inverse =
                    |k: usize| (0..3).map(|r| u.values[r * 3 + i] * u.values[r * 3 + k]).sum::<f64>();
                let product: f64 = (0..3).map(|k| inverse(k) * a.values[k * 3 + j]).sum();
                assert!((product - if i == j { 1.0 } else { 0.0 }).abs() < 1e-12);
            }
        }
        let x = a.solve(&[4.0, 14.0, 6.0]).expect("positive definite");
        assert!(x.iter().zip([1.0, 1.0, 1.0]).all(|(x, y)| (x - y).abs() < 1e-12), "{x:?}");
        assert_eq!(a.quadratic(&[1.0, -1.0, 0.5]), 4.0 + 10.0 + 1.5 - 4.0 - 2.0 - 2.0);
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert_eq!(matrix(&[&[1.0, 2.0], &[2.0, 1.0]]).cholesky(), None);
        assert_eq!(matrix(&[&[1.0, 1.0], &[1.0, 1.0]]).inverse_factor(), None);
        assert_eq!(matrix(&[&[f64::NAN]]).cholesky(), None);
    }
}
